//! The stores of this repository as subjects of tests.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use annalist_core::{Checkpoints, Snapshots};
use annalist_memory::MemoryStore;
use annalist_store::{Store, StoreOptions};
use async_trait::async_trait;
use tempfile::TempDir;

use crate::conformance::{self, Reopening, Reopens, Subject};

#[cfg(feature = "remote")]
mod remote;

#[cfg(feature = "remote")]
pub use remote::{Remote, ServerProcess};

/// A store in memory. It keeps nothing, so that it cannot be reopened.
#[derive(Debug, Default)]
pub struct InMemory(MemoryStore);

#[async_trait]
impl Subject for InMemory {
    fn store(&self) -> conformance::Store {
        Arc::new(self.0.clone())
    }
    fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(self.0.clone())
    }
    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        Arc::new(self.0.clone())
    }
    async fn close(&self) {
        self.0.close();
    }
    fn reopens(&mut self) -> Option<&mut dyn Reopens> {
        None
    }
}

/// A temporary folder on whatever disk the system keeps them.
///
/// # Panics
/// When there cannot be one.
#[must_use]
pub fn on_a_disk() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What a file system in memory must have free to be used.
const RAM_BYTES_MIN: u64 = 2 * 1024 * 1024 * 1024;

/// A temporary folder in memory, if the system has such a thing: for tests that open stores by the hundred and would
/// spend nearly all their time on syncs.
#[must_use]
pub fn in_ram() -> TempDir {
    let ram = Path::new("/dev/shm");
    let is_large = fs4::available_space(ram).is_ok_and(|bytes| bytes >= RAM_BYTES_MIN);
    is_large.then(|| tempfile::tempdir_in(ram).ok()).flatten().unwrap_or_else(on_a_disk)
}

/// A store on disk, in a temporary folder.
#[derive(Debug)]
pub struct OnDisk {
    dir: TempDir,
    options: StoreOptions,
    store: Store,
}

impl OnDisk {
    /// A new store as it is shipped.
    #[must_use]
    pub fn as_shipped(dir: TempDir) -> Self {
        Self::with(dir, StoreOptions::default())
    }

    /// A new store whose pages and index chunks hold a few events, so that a short history lies in many of them.
    #[must_use]
    pub fn in_small_pieces(dir: TempDir) -> Self {
        let mut options = StoreOptions::default();
        options.page_bytes = 512;
        options.index_chunk_events = 8;
        Self::with(dir, options)
    }

    fn with(dir: TempDir, options: StoreOptions) -> Self {
        let store = open(dir.path().join("store"), &options);
        Self { dir, options, store }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }
}

fn open(path: PathBuf, options: &StoreOptions) -> Store {
    Store::open_with(path, options.clone()).expect("the store opens")
}

#[async_trait]
impl Subject for OnDisk {
    fn store(&self) -> conformance::Store {
        Arc::new(self.store.clone())
    }
    fn snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(self.store.clone())
    }
    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        Arc::new(self.store.clone())
    }
    async fn close(&self) {
        self.store.close().await.expect("the store closes");
    }
    fn reopens(&mut self) -> Option<&mut dyn Reopens> {
        Some(self)
    }
}

#[async_trait]
impl Reopens for OnDisk {
    async fn reopen(&mut self, how: Reopening) {
        self.close().await;
        if how == Reopening::WithoutIndex {
            std::fs::remove_dir_all(self.path().join("index")).expect("the index can be deleted");
        }
        self.store = open(self.path(), &self.options);
    }
}

/// Copies a folder with everything in it.
///
/// # Panics
/// If that cannot be done.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("it can be listed").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
