//! Why a store did not open.

use std::{io, path::PathBuf};

use annalist_core::StoreError;

/// Why a store did not open. Nothing was changed, except that missing folders may have been made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or another handle in this one) has the store open. Close it, or use another folder.
    #[error("the store in {dir} is in use by {holder}; close it there, or use another folder")]
    Locked {
        /// The store's folder.
        dir: PathBuf,
        /// What the lock file says of its holder.
        holder: String,
    },
    /// The folder holds something else than a store that this version can read.
    #[error("{dir} is not a store that this program can open: {detail}")]
    NotAStore {
        /// The store's folder.
        dir: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be followed at present. Try again later.
    #[error("the store in {dir} cannot be read at present: {why}; try again later")]
    Unavailable {
        /// The store's folder.
        dir: PathBuf,
        /// What is in the way.
        why: String,
    },
    /// The storage engine refused.
    #[error("the storage engine cannot open {dir}: {detail}")]
    Engine {
        /// The folder.
        dir: PathBuf,
        /// What it said.
        detail: String,
    },
    /// Stored bytes are damaged.
    #[error("the store cannot be opened")]
    Damaged(#[source] StoreError),
}

impl OpenError {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
