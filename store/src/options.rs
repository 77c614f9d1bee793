//! How a store is to behave: data, not components.

use serde::{Deserialize, Serialize};

use crate::limits;

/// What an acknowledgement promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// The append survives a power failure: it was synced to the disk before the answer. The default.
    #[default]
    PowerLoss,
    /// The append survives the death of the process, but the last moments may be lost when the machine goes down. What
    /// is left is a prefix of the log all the same.
    ProcessCrash,
}

/// How the log is compressed on the disk. What is written stays as it was written; changing this changes what is written from
/// then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all: quickest to write and to read. The default.
    #[default]
    None,
    /// LZ4, page by page.
    Lz4,
    /// Zstandard, page by page: smallest.
    Zstd,
}

/// Settings of a store. Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Whether a store is made where there is none; otherwise that is an error, which tells a mistyped folder. Default: true.
    /// Since 0.1.
    pub create: bool,
    /// What an acknowledgement promises. Default: [`Durability::PowerLoss`]. Since 0.1.
    pub durability: Durability,
    /// Target size of a page, in bytes. Default: 8 KiB. Since 0.1.
    pub page_bytes: usize,
    /// How the log is compressed. Default: [`Compression::None`]. Since 0.1.
    pub compression: Compression,
    /// Events per index chunk. More is less work for the index and more to replay after a crash. Default: 65,536.
    /// Since 0.1.
    pub index_chunk_events: usize,
    /// Memory for blocks of the index, in bytes; pages of the log are left to the system's page cache, which has blocks of
    /// the index that do not fit too. Default: 16 MiB. Since 0.1.
    pub block_cache_bytes: usize,
    /// Size of a memtable of the log, in bytes; RocksDB preallocates write-ahead logs of about this size. Default: 16 MiB.
    /// Since 0.1.
    pub memtable_bytes: usize,
    /// Whether files of the write-ahead log are used again once what they hold is in tables. Overwriting a file is quicker
    /// to sync than extending one, since only the data has to reach the disk: a lone writer gains most. It costs the disk
    /// space of two such files, each about as large as a memtable. The first files of a process are always new, so the
    /// gain comes once about two memtables have been written. Either way a damaged log is found out when the
    /// store is opened. Default: true. Since 0.1.
    pub recycle_wal_files: bool,
    /// What is kept free on the disk of the log, in bytes. While less is free appends are refused with
    /// [`AppendError::Unavailable`](annalist_core::AppendError::Unavailable), which says so; reads and consumers' notes go on, and
    /// appends do too as soon as there is room again. Without a reserve, 0, a full disk fails a write, and the store has to be
    /// reopened. Default: 128 MiB, twice what waits in memory for its tables. Since 0.1.
    pub disk_reserve_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            create: true,
            durability: Durability::PowerLoss,
            page_bytes: limits::PAGE_BYTES,
            compression: Compression::None,
            index_chunk_events: limits::INDEX_CHUNK_EVENTS,
            block_cache_bytes: 16 * 1024 * 1024,
            memtable_bytes: 16 * 1024 * 1024,
            recycle_wal_files: true,
            disk_reserve_bytes: limits::DISK_RESERVE_BYTES,
        }
    }
}
