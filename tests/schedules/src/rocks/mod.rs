//! The two databases, in memory: what `store/src/rocks` is to the store.

#![expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signatures are those of the store's databases")]

mod disk;
mod index;
mod log;

use annalist_core::{Position, StoreError};

use crate::format::Damage;

pub(crate) use disk::Disk;
pub use disk::Faults;
pub(crate) use index::IndexDb;
pub(crate) use log::LogDb;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Memory,
    Disk,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("not in memory")]
    NotInMemory,
    #[error("damaged at {}: {}", .0.position, .0.detail)]
    Damaged(Damage),
    #[error("{0}")]
    Poisoned(String),
}

/// A chunk could not be added.
#[derive(Debug, thiserror::Error)]
#[error("the disk does not take the chunk")]
pub(crate) struct IndexError;

impl From<Damage> for ReadError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl ReadError {
    pub(crate) fn into_store_error(self) -> StoreError {
        match self {
            Self::NotInMemory => StoreError::Unavailable { why: "not in memory".to_owned() },
            Self::Damaged(Damage { position, detail }) => StoreError::Corrupt { position, detail: detail.to_owned() },
            Self::Poisoned(why) => StoreError::Unavailable { why },
        }
    }
}

/// How a database is doing: well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Condition {
    pub(crate) pending_compaction_bytes: u64,
    pub(crate) writes_stopped: bool,
    pub(crate) delayed_write_rate: u64,
    pub(crate) background_errors: u64,
    pub(crate) memtable_bytes: u64,
}

const fn missing(position: Position) -> ReadError {
    ReadError::Damaged(Damage { position, detail: "it is not there" })
}
