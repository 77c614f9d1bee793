//! How a database is doing.

use rocksdb::{ColumnFamily, DB, properties};

/// What RocksDB says of itself; what it does not say is zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition {
    /// Bytes that compaction has still to rewrite.
    pub(crate) pending_compaction_bytes: u64,
    /// Whether it takes no writes until it has caught up.
    pub(crate) writes_stopped: bool,
    /// To how many bytes a second it slows writes down; zero if it does not.
    pub(crate) delayed_write_rate: u64,
    /// Errors of background work.
    pub(crate) background_errors: u64,
    /// Bytes that are not in tables yet.
    pub(crate) memtable_bytes: u64,
}

impl Condition {
    /// Reads only what RocksDB has in memory.
    pub(super) fn of(db: &DB, families: &[&ColumnFamily]) -> Self {
        let of_all = |name| db.property_int_value(name).ok().flatten().unwrap_or_default();
        let of_each = |name: &properties::PropName| {
            let values = families.iter().filter_map(|family| db.property_int_value_cf(family, name).ok().flatten());
            values.sum()
        };
        Self {
            pending_compaction_bytes: of_each(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            writes_stopped: of_all(properties::IS_WRITE_STOPPED) > 0,
            delayed_write_rate: of_all(properties::ACTUAL_DELAYED_WRITE_RATE),
            background_errors: of_all(properties::BACKGROUND_ERRORS),
            memtable_bytes: of_each(properties::CUR_SIZE_ALL_MEM_TABLES),
        }
    }
}
