//! The only code of the engine that names RocksDB (the key-value store of the views has its own). Everything here blocks.

mod backup;
mod condition;
mod follow;
mod index;
mod iterators;
mod log;
mod options;
mod stall;
#[cfg(test)]
mod tests;
mod wal_check;

pub(crate) use backup::{log_files, table_number};
pub(crate) use condition::Condition;
pub(crate) use index::{IndexCounts, IndexDb, IndexError};
pub(crate) use log::LogDb;
pub(crate) use stall::Stall;
pub(crate) use wal_check::check_wal;

/// How far a read may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Memory only: quick enough for a thread that must not block.
    Memory,
    /// The disk too.
    Disk,
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It would have needed the disk: try again with [`Tier::Disk`] where blocking is allowed.
    #[error("not in memory")]
    NotInMemory,
    /// RocksDB failed.
    #[error(transparent)]
    Engine(rocksdb::Error),
    /// The bytes are damaged.
    #[error("damaged at {}: {}", .0.position, .0.detail)]
    Damaged(crate::format::Damage),
    /// The index could not be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A folder of the store could not be looked at.
    #[error(transparent)]
    Folder(#[from] std::io::Error),
    /// An earlier write failed, and nothing more is written.
    #[error("{0}")]
    Poisoned(String),
}

/// What the files of a folder occupy on the disk, in bytes. Files come and go meanwhile.
fn occupied(dir: &std::path::Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    /// The unit of `st_blocks`, whatever the file system's own blocks are (stat(2)).
    const BLOCK_BYTES: u64 = 512;
    let sizes = std::fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks() * BLOCK_BYTES));
    Ok(sizes.sum())
}

impl From<rocksdb::Error> for ReadError {
    fn from(error: rocksdb::Error) -> Self {
        if error.kind() == rocksdb::ErrorKind::Incomplete { Self::NotInMemory } else { Self::Engine(error) }
    }
}

impl From<crate::format::Damage> for ReadError {
    fn from(damage: crate::format::Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl ReadError {
    /// As the port says it. `NotInMemory` never gets this far: the caller goes to the disk first.
    pub(crate) fn into_store_error(self) -> annalist_core::StoreError {
        use annalist_core::StoreError;
        match self {
            Self::NotInMemory => StoreError::Unavailable { why: "not in memory".to_owned() },
            Self::Engine(error) if error.kind() == rocksdb::ErrorKind::Corruption => {
                StoreError::Corrupt { position: annalist_core::Position::ZERO, detail: error.into_string() }
            }
            Self::Index(error) => StoreError::Unavailable { why: format!("the index cannot be written: {error}") },
            Self::Folder(error) => StoreError::Unavailable { why: format!("its folder cannot be read: {error}") },
            Self::Poisoned(why) => StoreError::Unavailable { why },
            Self::Engine(error) => StoreError::Unavailable { why: error.into_string() },
            Self::Damaged(damage) => {
                StoreError::Corrupt { position: damage.position, detail: damage.detail.to_owned() }
            }
        }
    }
}
