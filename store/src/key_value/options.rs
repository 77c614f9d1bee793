//! How the RocksDB of the views is set up, and why.

use std::ops::Range;

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options, ReadOptions, WriteOptions};
use serde::{Deserialize, Serialize};

/// Settings of a key-value store. Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyValueOptions {
    /// What is in memory before it becomes a file, in bytes; three times as much may wait to. A rebuild writes much and often the
    /// same rows. Default: 16 MiB. Since 0.1.
    pub memtable_bytes: usize,
}

impl Default for KeyValueOptions {
    fn default() -> Self {
        Self { memtable_bytes: 16 * 1024 * 1024 }
    }
}

/// Uncompressed blocks: views that are read often fit, others cost a read.
const BLOCK_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Bits per key of the filters: one look-up in a hundred reads a block in vain.
const FILTER_BITS: f64 = 10.0;
/// File handles; views are small beside the log.
const OPEN_FILES_MAX: i32 = 256;
/// RocksDB's own log files.
const LOG_FILES_KEPT: usize = 4;
/// Files of the first level before writes wait for compaction.
const FIRST_LEVEL_FILES_MAX: i32 = 36;

pub(super) fn database(settings: &KeyValueOptions) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_keep_log_file_num(LOG_FILES_KEPT);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(2);
    options.set_paranoid_checks(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_write_buffer_size(settings.memtable_bytes);
    options.set_max_write_buffer_number(3);
    // Writes are not slowed down first: that would be by making each one that asks wait for longer, and those that wait outside ask
    // often.
    options.set_level_zero_slowdown_writes_trigger(FIRST_LEVEL_FILES_MAX);
    options.set_level_zero_stop_writes_trigger(FIRST_LEVEL_FILES_MAX);
    // After a power failure the unsynced end of the write-ahead log may be damaged anywhere. Whatever stands before the
    // damage is an earlier state of every view, with its cursor: right, and continued by replay.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(BLOCK_CACHE_BYTES));
    table.set_bloom_filter(FILTER_BITS, false);
    table.set_format_version(6);
    options.set_block_based_table_factory(&table);
    options
}

pub(super) fn write() -> WriteOptions {
    let mut options = WriteOptions::default();
    // `Stall` waits instead.
    options.set_no_slowdown(true);
    options
}

pub(super) fn scan(range: Range<&[u8]>) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_range(range.start.to_vec()..range.end.to_vec());
    options
}
