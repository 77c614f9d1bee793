//! Every limit of the engine, with its reason. The limits of names and appends are `annalist-core`'s.

use std::time::Duration;

use annalist_core::APPEND_BYTES_MAX;

/// What may wait to be staged, in bytes of encoded events (64 MiB); beyond it callers wait (back-pressure).
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a request costs at least, in bytes: bounds the number of small requests in the queue to 65,536.
pub(crate) const REQUEST_BYTES_MIN: usize = 1024;

/// What the queue is counted in.
pub(crate) const QUEUE_PERMITS: usize = QUEUE_BYTES_MAX / REQUEST_BYTES_MIN;

/// Most bytes of one group (8 MiB, or one append if that is larger): one sync may cover this much, and a reader of the
/// newest event waits no longer than writing this much takes.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Groups below this (256 KiB) are committed by the thread that staged them; see the sequencer.
pub(crate) const GROUP_BYTES_INLINE: usize = 256 * 1024;

/// A group waits for company at most this part of what the last commit took, and never longer than the maximum.
pub(crate) const PATIENCE_DIVISOR: u32 = 2;
pub(crate) const PATIENCE_MAX: Duration = Duration::from_millis(1);

/// How many answers one caller passes on to others: enough to make the committer's share small, few enough that a
/// runtime of several threads shares the work.
pub(crate) const ANSWERS_PASSED_ON: usize = 63;

/// Target size of a page (8 KiB): large enough to make the engine's cost per event small, small enough that a single
/// event is read without much beside it (ADR 16).
pub(crate) const PAGE_BYTES: usize = 8 * 1024;

/// Events of one generation of the tail, and so of one index chunk: what recovery replays at most twice of.
pub(crate) const INDEX_CHUNK_EVENTS: usize = 64 * 1024;

/// Bytes of names and keys in one generation (32 MiB): bounds memory when names are long.
pub(crate) const GENERATION_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Frozen generations that may wait for the index before appends have to wait too.
pub(crate) const FROZEN_GENERATIONS_MAX: usize = 4;

/// What a follower keeps in memory of what the index does not have yet (256 MiB): more than a store ever has waiting for its own.
pub(crate) const FOLLOWED_BYTES_MAX: usize = (FROZEN_GENERATIONS_MAX + 4) * GENERATION_BYTES_MAX;

/// How often a follower looks for new tables and chunks while events come, and while none do: it only frees memory by that.
pub(crate) const TABLES_INTERVAL: Duration = Duration::from_millis(100);
pub(crate) const TABLES_INTERVAL_IDLE: Duration = Duration::from_secs(1);

/// Recent pages kept for live subscribers (8 MiB): a subscriber that is further behind reads from disk.
pub(crate) const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of pages in one batch of a read of the whole log (256 KiB): amortises the hand-over between threads.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;

/// Batches of a read of the whole log that are being read or wait to be taken: one for each core of a small machine, and one
/// more for the reader.
pub(crate) const BATCHES_AHEAD: usize = 3;

/// Events in one batch of a read of a stream or by a query.
pub(crate) const BATCH_LIST_EVENTS: usize = 512;

/// Bytes of events in it (512 KiB), and those of one page that exceed them: a reader that nobody takes from holds no more. Events of up to
/// a kilobyte make batches of the number above.
pub(crate) const BATCH_LIST_BYTES: usize = 512 * 1024;

/// Places that are looked up for a batch at least, however large its events are thought to be.
pub(crate) const BATCH_LIST_EVENTS_MIN: usize = 16;

/// Reads of single pages from the disk that one fetch has under way: a disk that answers one at a time in 70 µs answers
/// thirty-two in little more.
pub(crate) const FETCHES_TOGETHER: usize = 32;

/// A page that was read more quickly than this came from the system's cache and not from the disk; more quickly than that, from
/// memory of our own.
pub(crate) const QUICK_READ: Duration = Duration::from_micros(40);
pub(crate) const CACHED_READ: Duration = Duration::from_micros(2);

/// Pages that one thread asks RocksDB for at once: finding the file and its index costs less for several together.
pub(crate) const PAGES_AT_ONCE: usize = 16;

/// How long one fetch may read on its caller's thread while reads are quick: other tasks of that thread wait as long.
pub(crate) const INLINE_READ_MAX: Duration = Duration::from_micros(300);

/// How long a subscriber is left without news of how far events that it does not want were passed over: often enough that
/// little is passed over again after a restart, seldom enough to cost nothing.
pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// Events in one row of a list of the index (a longer run is split): a look-up decodes whole rows.
pub(crate) const LIST_ROW_EVENTS: usize = 256;

/// What is kept free on the disk (128 MiB): the queue of appends that were let in, and four memtables that are to become tables.
pub(crate) const DISK_RESERVE_BYTES: u64 = 128 * 1024 * 1024;

/// How long a write waits for memtables to become tables before the store gives up: longer than any disk takes that still works.
pub(crate) const WRITE_STALL_MAX: Duration = Duration::from_mins(1);

/// How often it looks whether it may be written: a memtable takes some ten times as long.
pub(crate) const WRITE_STALL_POLL: Duration = Duration::from_millis(1);

/// How long a map of views cannot be written before it is opened again: longer than RocksDB takes to look for room again by itself.
pub(crate) const REOPEN_AFTER: Duration = Duration::from_secs(6);

/// What is written before, to see whether that can succeed: more than the new files of an opening have.
pub(crate) const REOPEN_PROBE_BYTES: usize = 64 * 1024;

/// Events that are verified at once: some megabytes of memory, and a fraction of a second between two reports.
pub(crate) const VERIFY_WINDOW_EVENTS: usize = 16 * 1024;

/// What verifying lists: enough to see what is wrong with a store, and no more memory if all of it is.
pub(crate) const FINDINGS_MAX: usize = 1000;

const _: () = assert!(QUEUE_BYTES_MAX >= 2 * APPEND_BYTES_MAX, "the largest append must fit the queue beside others");
const _: () = assert!(QUEUE_PERMITS <= u32::MAX as usize, "permits are counted in 32 bits");
