//! Why a backup was not made, or nothing made of it.

use std::{io, path::PathBuf};

use annalist_core::{DamagedFile, Position, StoreError};

use crate::error::OpenError;

/// Why a backup was not made, or nothing made of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Somebody else works with the same folder, or makes a backup of the same store. Try again when that is done.
    #[error("{dir} is in use by {holder}; try again when that is done")]
    Busy {
        /// The folder.
        dir: PathBuf,
        /// Who that is, as far as it is known.
        holder: String,
    },
    /// The folder holds no backup, not that one, or those of another store. Name another folder.
    #[error("{dir} cannot be used for backups of this store: {detail}")]
    Unfit {
        /// The folder of the backups.
        dir: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A backup is damaged. Use another one.
    #[error("the backup is damaged: {0}; use another one")]
    Damaged(DamagedFile),
    /// The folder to restore into holds something. Name one that is empty, or is not there.
    #[error("{dir} is not empty: {detail}; restore into a new folder")]
    Occupied {
        /// The folder.
        dir: PathBuf,
        /// What is in it.
        detail: String,
    },
    /// The position lies behind the end of the backup. Name a later backup, or an earlier position.
    #[error("position {wanted} is not in the backup, which ends at {end}; name a later backup or an earlier position")]
    Beyond {
        /// Which position was asked for.
        wanted: Position,
        /// The last one.
        end: Position,
    },
    /// A file could not be read or written. What was there before is as it was.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be read: it is closed, or damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was restored does not open.
    #[error("what was restored does not open")]
    Open(#[from] OpenError),
}

impl BackupError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// Why a folder could not be made or locked.
    pub(super) fn of_folder(error: OpenError) -> Self {
        match error {
            OpenError::Locked { dir, holder } => Self::Busy { dir, holder },
            OpenError::Io { doing, path, source } => Self::Io { doing, path, source },
            other => Self::Open(other),
        }
    }

    pub(super) fn damaged(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Self::Damaged(DamagedFile { path: path.into(), detail: detail.into() })
    }
}
