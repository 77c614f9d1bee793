//! Backups: copies of the log in a folder of their own, which share the files that did not change, and stores made of them.
//!
//! ```text
//! backups/
//!   LOCK                          held while a backup is made, verified or restored
//!   files/000012-9a3c21f0.sst     tables of the log, each under its number and checksum, shared by all backups that need it
//!   000001/                       a backup
//!     BACKUP                      what it holds; written last: without it, it is none
//!     CURRENT, MANIFEST-000005    what is its own
//! ```
//!
//! The index is left out: it is derived, and building it reads the restored log with all of its checksums.

mod copy;
mod error;
mod folder;
mod restore;
mod take;

use std::{num::NonZeroUsize, path::PathBuf};

use annalist_core::{Backup, Cursor, Position, Progress};

use crate::{format::Manifest, options::StoreOptions, store::Store};

pub use error::BackupError;

/// How a backup is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupOptions {
    /// How many backups the folder keeps, this one included; older ones are removed once it is whole. Default: all.
    pub keep: Option<NonZeroUsize>,
}

/// What a manifest says of its backup.
fn described(manifest: &Manifest) -> Backup {
    let (store, epoch) = (manifest.identity.id, manifest.identity.epoch);
    Backup {
        number: manifest.number,
        time: manifest.time,
        head: Cursor { store, epoch, position: manifest.position },
        files: manifest.files.len() as u64,
        bytes: manifest.byte_count(),
        added_bytes: manifest.added_bytes,
    }
}

/// How a backup becomes a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// Up to where; a commit that reaches beyond is left out whole. Default: to the end of the backup.
    pub to: Option<Position>,
    /// Settings of the store, as it will be opened.
    pub store: StoreOptions,
}

/// What a restore is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreStep {
    /// Copying files, in bytes.
    Copying(Progress),
    /// Reading the log and building the index, in positions.
    Indexing(Progress),
}

/// A store that was made of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Where its log ends, in its new epoch.
    pub head: Cursor,
    /// Where the log of the backup ended.
    pub backup: Cursor,
}

/// A folder of backups of one store. Everything here blocks.
#[derive(Clone, Debug)]
pub struct Backups {
    dir: PathBuf,
}

impl Backups {
    /// The backups in a folder, which need not be there.
    #[must_use]
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }
}

impl Store {
    /// Makes a backup of the log in a folder: all of it the first time, afterwards what is new. The store goes on working;
    /// everything that was acknowledged before the call is in it. What is new is read and checked before it is copied, so that
    /// damage does not find its way into backups.
    ///
    /// The folder may be on another disk, and should be. It holds the backups of one store. `progress` is told in bytes.
    ///
    /// # Errors
    /// [`BackupError`] says what is in the way; the backups that were there before are as they were.
    pub async fn backup(
        &self,
        dir: impl Into<PathBuf>,
        options: BackupOptions,
        progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Backup, BackupError> {
        let shared = self.shared()?;
        let folder = folder::Folder::new(dir.into());
        let taken = tokio::task::spawn_blocking(move || take::take(&shared, &folder, &options, progress));
        // Only a runtime that ends keeps it from being run.
        taken.await.unwrap_or(Err(BackupError::Store(annalist_core::StoreError::Closed)))
    }
}
