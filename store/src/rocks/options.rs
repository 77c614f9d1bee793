//! How RocksDB is set up, and why.

use std::{
    fs::{self, File},
    path::Path,
};

use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, IngestExternalFileOptions, Options, ReadOptions,
    SliceTransform, WriteOptions,
};

use super::Tier;
use crate::{
    format::list_prefix_len,
    options::{Compression, Durability, StoreOptions},
};

/// Bits per key of the index's filters: one look-up in a hundred reads a block in vain.
const FILTER_BITS: f64 = 10.0;
const LOG_FILES_KEPT: usize = 4;
/// Memtables of the log: one that is written to, the others wait to become tables.
const MEMTABLES_MAX: i32 = 4;
/// What the memtable of the notes takes at a time, in bytes (128 KiB).
const NOTES_BLOCK_BYTES: usize = 128 * 1024;
/// Files of the write-ahead log that wait to be used again, each about the size of a memtable: one for the writer, one
/// more for when a memtable fills before the one before it is written out.
const WAL_FILES_RECYCLED: usize = 2;

fn common() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_keep_log_file_num(LOG_FILES_KEPT);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_max_background_jobs(2);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_paranoid_checks(true);
    options
}

/// Whether the file system of a folder takes writes past the system's page cache. Some do not, `tmpfs` of older kernels among them.
pub(super) fn takes_direct_writes(dir: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt as _;
    let probe = dir.join("direct.probe");
    // A new store has no folder yet; what is wrong with it, if it cannot be made, is said when the database opens.
    let _ = fs::create_dir_all(dir);
    let opened = File::options().write(true).create(true).truncate(false).custom_flags(libc::O_DIRECT).open(&probe);
    // Left behind, it does no harm.
    let _ = fs::remove_file(&probe);
    opened.is_ok()
}

/// The database of the log. Recovery takes the write-ahead log up to the first record that cannot be read; that nothing
/// synced stands behind it is checked before (`wal_check`). Recycled files allow no stricter mode: behind their end
/// stands what they held before.
pub(super) fn log_database(options: &StoreOptions, writes_directly: bool) -> Options {
    let mut db = common();
    // Tables are written once, long after their events were: putting them through the page cache costs a processor more than
    // everything else about them, and drives out what is read.
    db.set_use_direct_io_for_flush_and_compaction(writes_directly);
    db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    db.set_recycle_log_file_num(if options.recycle_wal_files { WAL_FILES_RECYCLED } else { 0 });
    db.set_max_total_wal_size(4 * options.memtable_bytes as u64);
    // A file of the log that is missing, or shorter than it was when it was closed.
    db.set_track_and_verify_wals_in_manifest(true);
    // Pages and notes leave the write-ahead log together. Otherwise a crash between the two leaves a file that is needed
    // for one of them alone, and RocksDB refuses to recover the other beyond the end of it.
    db.set_atomic_flush(true);
    write_tables_together(&mut db);
    db
}

/// A thread for every memtable that may wait. Of two that are written out at once the later one waits for the earlier one; if that
/// one's table could not be written, RocksDB (11.8) tries again, and with too few threads never comes to it: nothing is
/// written any more then, and closing never ends (ADR 42).
#[expect(deprecated, reason = "what RocksDB decides by itself is one thread")]
fn write_tables_together(db: &mut Options) {
    db.set_max_background_flushes(MEMTABLES_MAX);
}

/// The pages: keys only grow, so files never overlap and compaction moves them instead of rewriting them, as long as
/// every level has the same compression.
pub(super) fn pages_family(options: &StoreOptions) -> Options {
    let mut family = common();
    family.set_write_buffer_size(options.memtable_bytes);
    family.set_max_write_buffer_number(MEMTABLES_MAX);
    let compression = match options.compression {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::Zstd => DBCompressionType::Zstd,
    };
    family.set_compression_type(compression);
    family.set_compression_per_level(&[compression; 7]);
    let mut table = BlockBasedOptions::default();
    // A page for each block: nothing is read beside the page that is wanted.
    table.set_block_size(options.page_bytes);
    // Pages are not compressed, so the system's page cache has them just as well, and shares its memory with all.
    table.disable_cache();
    table.set_format_version(6);
    family.set_block_based_table_factory(&table);
    family
}

/// The consumers' notes: few and small, and written again and again. Every version of one stays in the memtable until that becomes
/// a table, and the pages' memtable becomes one with it: so it has as much room as theirs, which is what fills first then (ADR 75).
pub(super) fn state_family(options: &StoreOptions) -> Options {
    let mut family = common();
    family.set_write_buffer_size(options.memtable_bytes);
    family.set_max_write_buffer_number(MEMTABLES_MAX);
    // What most stores have of notes fits in one.
    family.set_arena_block_size(NOTES_BLOCK_BYTES.min(options.memtable_bytes / 8));
    family
}

/// The database of the index: files are built outside and ingested.
pub(super) fn index_database() -> Options {
    common()
}

/// The rows of the index.
pub(super) fn index_family(cache: &Cache) -> Options {
    let mut family = common();
    family.set_prefix_extractor(SliceTransform::create(
        "annalist.list",
        |key| key.get(..list_prefix_len(key).unwrap_or(key.len())).unwrap_or(key),
        Some(|key| list_prefix_len(key).is_some()),
    ));
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(FILTER_BITS, false);
    table.set_whole_key_filtering(true);
    table.set_format_version(6);
    family.set_block_based_table_factory(&table);
    // Every chunk overlaps the others (its keys are spread), so it lands in level 0; few files there, few look-ups.
    family.set_level_zero_file_num_compaction_trigger(4);
    family.set_level_zero_slowdown_writes_trigger(32);
    family.set_level_zero_stop_writes_trigger(64);
    family
}

pub(super) fn ingestion() -> IngestExternalFileOptions {
    let mut options = IngestExternalFileOptions::default();
    options.set_move_files(true);
    options
}

pub(super) fn write(durability: Durability) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(durability == Durability::PowerLoss);
    // `Stall` waits instead.
    options.set_no_slowdown(true);
    options
}

pub(super) fn write_unlogged() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

pub(super) fn read(tier: Tier) -> ReadOptions {
    let mut options = ReadOptions::default();
    if tier == Tier::Memory {
        options.set_read_tier(rocksdb::ReadTier::BlockCache);
    }
    options
}

/// For rows of one list.
pub(super) fn list(tier: Tier) -> ReadOptions {
    let mut options = read(tier);
    options.set_prefix_same_as_start(true);
    options
}

/// For rows of all lists.
pub(super) fn whole() -> ReadOptions {
    let mut options = read(Tier::Disk);
    options.set_total_order_seek(true);
    options.fill_cache(false);
    options
}

/// For pages of the log, which have checksums of their own.
pub(super) fn page() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options.set_verify_checksums(false);
    options
}
