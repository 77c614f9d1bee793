//! Where the store is: in a folder, or behind a server.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
};

use annalist_client::RemoteStore;
use annalist_core::{AppendError, EventStore, ImportError, Imported, PastEvent, StoreError, StreamId, Version};
use annalist_store::{FollowOptions, Follower, OpenError, Store, StoreOptions};
use clap::{
    Args,
    builder::{PathBufValueParser, TypedValueParser},
};

use crate::{address::Connection, failure::Failure, output::Output};

/// The store that a command is about.
#[derive(Args, Debug)]
pub(crate) struct Place {
    /// The store: its folder, or the address of its server (`http://host:port`).
    store: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// A store that is open, or read beside the process that has it open, or a server that is asked.
pub(crate) enum Opened {
    Folder(Store),
    Followed(Follower),
    Server(RemoteStore),
}

/// How a store is opened: one that is not there is never made.
pub(crate) fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.create = false;
    options
}

/// The address, if it is one and no folder.
pub(crate) fn address(place: &Path) -> Option<&str> {
    place.to_str().filter(|place| place.starts_with("http://") || place.starts_with("https://"))
}

impl Place {
    /// The folder, if it is one and no server.
    pub(crate) fn folder(&self) -> Option<&Path> {
        address(&self.store).is_none().then_some(&*self.store)
    }

    /// Opens the folder, which nobody else may have open, or will ask the server.
    pub(crate) async fn open(&self) -> Result<Opened, Failure> {
        match address(&self.store) {
            Some(address) => self.connection.to(address).map(Opened::Server),
            None => open(&self.store, options()).await.map(Opened::Folder),
        }
    }

    /// The same, and makes the folder if it is not there. A server has made its own.
    pub(crate) async fn open_or_create(&self) -> Result<Opened, Failure> {
        match self.folder() {
            Some(dir) => open(dir, StoreOptions::default()).await.map(Opened::Folder),
            None => Err(Failure::Usage("a server makes its store itself; leave --create out".to_owned())),
        }
    }

    /// The same for a command that only reads: beside the process that has the folder open, if one has.
    pub(crate) async fn open_to_read(&self) -> Result<Opened, Failure> {
        match self.open().await {
            Err(Failure::Open(OpenError::Locked { holder, .. })) => {
                Output::remark(&format!("{holder} has the store open: reading beside it"));
                follow(&self.store).await.map(Opened::Followed)
            }
            opened => opened,
        }
    }

    /// The same for a command that waits for what others record: the folder stays free for them.
    pub(crate) async fn open_to_follow(&self) -> Result<Opened, Failure> {
        match self.folder() {
            Some(dir) => follow(dir).await.map(Opened::Followed),
            None => self.open().await,
        }
    }
}

/// Takes the folder of a command that works on folders alone.
pub(crate) fn folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|dir| match address(&dir) {
        Some(_) => Err("this command works on folders, and that is a server"),
        None => Ok(dir),
    })
}

async fn open(dir: &Path, options: StoreOptions) -> Result<Store, Failure> {
    let dir = dir.to_owned();
    blocking(move || Store::open_with(dir, options)).await
}

async fn follow(dir: &Path) -> Result<Follower, Failure> {
    let dir = dir.to_owned();
    blocking(move || Store::follow(dir, FollowOptions::default())).await
}

async fn blocking<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, Failure> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|error| Failure::Other(format!("opening the store broke off: {error}")))?.map_err(Failure::from)
}

impl Deref for Opened {
    type Target = dyn EventStore;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Folder(store) => store,
            Self::Followed(store) => store,
            Self::Server(server) => server,
        }
    }
}

impl Opened {
    /// The streams, by name, and their last versions: at most `limit`, or fewer though there are more.
    pub(crate) async fn streams(
        &self,
        within: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Version)>, StoreError> {
        match self {
            Self::Folder(store) => store.streams(within, after, limit).await,
            Self::Followed(store) => store.streams(within, after, limit).await,
            Self::Server(server) => server.streams(within, after, limit).await,
        }
    }

    /// Records events as they were recorded elsewhere, all that are not there yet or none.
    pub(crate) async fn import(&self, events: &[PastEvent]) -> Result<Imported, ImportError> {
        match self {
            Self::Folder(store) => store.import(events).await,
            Self::Followed(_) => {
                Err(AppendError::ReadOnly { why: "another process has the store open; import there".to_owned() }.into())
            }
            Self::Server(server) => server.import(events).await,
        }
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Folder(store) => store.close().await?,
            Self::Followed(store) => store.close().await?,
            Self::Server(server) => server.close(),
        }
        Ok(())
    }
}
