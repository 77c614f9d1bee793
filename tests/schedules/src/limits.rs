//! The limits of the store, so small that a few appends meet all of them.

use std::time::Duration;

/// Permits are counted in requests: an append takes one for each beginning of so many bytes.
pub(crate) const REQUEST_BYTES_MIN: usize = 2048;
pub(crate) const QUEUE_PERMITS: usize = 3;

pub(crate) const GROUP_BYTES_MAX: usize = 700;
/// An append with a large payload is more than that, two with small ones are not.
pub(crate) const GROUP_BYTES_INLINE: usize = 300;

pub(crate) const PATIENCE_DIVISOR: u32 = 2;
pub(crate) const PATIENCE_MAX: Duration = Duration::from_millis(1);

pub(crate) const ANSWERS_PASSED_ON: usize = 1;

pub(crate) const PAGE_BYTES: usize = 256;

pub(crate) const INDEX_CHUNK_EVENTS: usize = 3;
pub(crate) const GENERATION_BYTES_MAX: usize = 1024 * 1024;
pub(crate) const FROZEN_GENERATIONS_MAX: usize = 2;

/// A page or two.
pub(crate) const RECENT_BYTES_MAX: usize = 400;

pub(crate) const BATCH_BYTES: usize = 256;
pub(crate) const BATCHES_AHEAD: usize = 2;
pub(crate) const BATCH_LIST_EVENTS: usize = 2;
pub(crate) const BATCH_LIST_BYTES: usize = 256;
pub(crate) const BATCH_LIST_EVENTS_MIN: usize = 1;
pub(crate) const FETCHES_TOGETHER: usize = 2;
pub(crate) const PAGES_AT_ONCE: usize = 2;

pub(crate) const QUICK_READ: Duration = Duration::from_micros(40);
pub(crate) const CACHED_READ: Duration = Duration::from_micros(2);
pub(crate) const INLINE_READ_MAX: Duration = Duration::from_micros(300);

pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) const LIST_ROW_EVENTS: usize = 2;

/// The disk here is never full.
pub(crate) const DISK_RESERVE_BYTES: u64 = 0;
