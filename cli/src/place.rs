//! Where the store is.

use std::path::PathBuf;

use annalist_store::{Store, StoreOptions};
use clap::Args;

use crate::failure::Failure;

/// The folder that every command is about.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The folder of the store.
    pub(crate) dir: PathBuf,
}

/// How a store is opened: one that is not there is never made.
pub(crate) fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.create = false;
    options
}

impl Place {
    /// Opens the store, which nobody else may have open.
    pub(crate) async fn open(&self) -> Result<Store, Failure> {
        let dir = self.dir.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open_with(dir, options())).await;
        opened.map_err(|error| Failure::Other(format!("opening the store broke off: {error}")))?.map_err(Failure::from)
    }
}
