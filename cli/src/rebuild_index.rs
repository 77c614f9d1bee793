//! `annalist rebuild-index`: derives the index from the log again.

use std::path::PathBuf;

use annalist_store::Store;
use clap::Args;
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place,
};

/// Derives the index from the log again; the store must not be open
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The folder of the store.
    #[arg(value_parser = place::folder())]
    dir: PathBuf,
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let rebuilt = tokio::task::spawn_blocking(move || {
        let bar = Output::bar("indexing");
        Store::rebuild_index(arguments.dir, place::options(), |progress| bar.show(progress))
    });
    let head = rebuilt.await.map_err(|error| Failure::Other(format!("rebuilding the index broke off: {error}")))??;
    if output.json {
        output.value(&json!({ "indexed": head.position.get() }))?;
    } else {
        output.line(&format!("the index is rebuilt up to position {}", head.position))?;
    }
    Ok(Done::Well)
}
