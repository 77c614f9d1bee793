//! Backups, and a store that is put back to one, as `docs/operations.md` says: the service is stopped, and started with the new log.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses what it needs; a helper that fails fails the test"
)]

use std::{fs, path::Path};

use annalist_core::Position;
use annalist_store::{BackupOptions, Backups, RestoreOptions, Store};

/// Makes a backup of a store that is open, and may be at work.
pub(crate) async fn back_up(store: &Store, backups: &Path) -> Position {
    store.backup(backups, BackupOptions::default(), |_| {}).await.unwrap().head.position
}

/// Makes a backup of the store in a folder that nobody has open.
pub(crate) async fn back_up_closed(dir: &Path, backups: &Path) -> Position {
    let store = Store::open(dir).unwrap();
    let head = back_up(&store, backups).await;
    store.close().await.unwrap();
    head
}

/// Puts the log of the last backup in the place of the one in `dir`, up to a position if one is given; views that stand beside it
/// stay.
pub(crate) fn restore(backups: &Path, dir: &Path, to: Option<Position>) {
    let new = dir.with_file_name("new");
    let mut options = RestoreOptions::default();
    options.to = to;
    Backups::of(backups).restore(None, &new, options, |_| {}).unwrap();
    if dir.join("views").exists() {
        fs::rename(dir.join("views"), new.join("views")).unwrap();
    }
    fs::remove_dir_all(dir).unwrap();
    fs::rename(new, dir).unwrap();
}
