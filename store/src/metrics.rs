//! Everything that the store measures: each metric is declared here, and nowhere else, with what counts it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use annalist_core::{AppendError, Appended, Position, Source, StoreError};
use annalist_metrics::{Counter, Histogram, Metric, Metrics, Unit};

use crate::concurrency::{Instant, Mutex};

const APPEND_DURATION: Metric =
    Metric::histogram("annalist_append_duration", "From the call of an append until it is durable.")
        .unit(Unit::Seconds)
        .worry("the 99th percentile is far above what a sync takes");
const APPEND_REPEATED: Metric =
    Metric::counter("annalist_append_repeated", "Appends whose key was recorded before: they were answered again.");
const APPEND_REFUSED: Metric = Metric::counter("annalist_append_refused", "Appends that were not acknowledged.")
    .labels(&["reason"])
    .worry("`poisoned`, `unknown` or `unavailable` at all; many `conflict` for few appends");
const APPEND_EVENTS: Metric = Metric::counter("annalist_append_events", "Events that were made durable.");
const APPEND_BYTES: Metric =
    Metric::counter("annalist_append", "What was made durable, as it is encoded.").unit(Unit::Bytes);
pub(crate) const APPEND_QUEUED: Metric =
    Metric::gauge("annalist_append_queued", "Appends that wait for the sequencer.").worry("it grows");
pub(crate) const APPEND_IN_FLIGHT: Metric =
    Metric::gauge("annalist_append_in_flight", "What appends that have no answer yet take of the queue's 64 MiB.")
        .unit(Unit::Bytes)
        .worry("near its limit: callers wait");

const PAGE_GROUP: Metric =
    Metric::histogram("annalist_page_group_appends", "Appends that one write and one sync made durable together.");
const PAGE_COMMIT: Metric = Metric::histogram("annalist_page_commit_duration", "The write and the sync of a group.")
    .unit(Unit::Seconds)
    .worry("above what the disk is known to take");

const INDEX_CHUNK: Metric =
    Metric::histogram("annalist_index_chunk_duration", "The making of a chunk of the index.").unit(Unit::Seconds);
pub(crate) const INDEX_LAG: Metric =
    Metric::gauge("annalist_index_lag_events", "Events in the tail: durable, not yet in the index on the disk.")
        .worry("above twice the size of a chunk");
pub(crate) const INDEX_WAITING: Metric =
    Metric::gauge("annalist_index_waiting_generations", "Generations of the tail that wait for the index.")
        .worry("at 4: appends wait");
const INDEX_DISK: Metric = Metric::counter(
    "annalist_index_disk_lookups",
    "Look-ups for appends and reads that neither the tail nor the block cache could answer.",
)
.worry("as many as appends and reads together: the block cache is too small");

const SUBSCRIPTION_OPEN: Metric = Metric::gauge("annalist_subscription_open", "Subscriptions.");
const SUBSCRIPTION_LAG: Metric =
    Metric::gauge("annalist_subscription_lag_events", "Events that the slowest subscription has not been delivered.")
        .worry("it grows");

const READ_BEGUN: Metric =
    Metric::counter("annalist_read_begun", "Finite reads: of one `stream`, by a `query`, or of the `log`.")
        .labels(&["source"]);

pub(crate) const STORE_HEALTH: Metric =
    Metric::gauge("annalist_store_health", "1 for the state that the store is in, 0 for the others.")
        .labels(&["state"])
        .worry("`read-only` or `failed` is 1");
pub(crate) const STORE_EVENTS: Metric =
    Metric::gauge("annalist_store_events", "Events in the log: the number of its head.");
pub(crate) const STORE_STREAMS: Metric = Metric::gauge("annalist_store_streams", "Streams that have events.");
pub(crate) const STORE_EVENT_BYTES: Metric =
    Metric::gauge("annalist_store_event", "The bodies of all events as they are encoded.").unit(Unit::Bytes);
pub(crate) const STORE_DISK: Metric =
    Metric::gauge("annalist_store_disk_used", "What the `log` and the `index` occupy on the disk.")
        .unit(Unit::Bytes)
        .labels(&["part"]);
pub(crate) const STORE_DISK_FREE: Metric =
    Metric::gauge("annalist_store_disk_free", "What is free on the disk of the store.")
        .unit(Unit::Bytes)
        .worry("less than a day's growth");
pub(crate) const STORE_COMPACTION: Metric =
    Metric::gauge("annalist_store_pending_compaction", "What RocksDB has still to rewrite.")
        .unit(Unit::Bytes)
        .labels(&["part"])
        .worry("it grows for hours");
pub(crate) const STORE_STALLED: Metric =
    Metric::gauge("annalist_store_writes_stopped", "1 while RocksDB takes no writes until it has caught up.")
        .labels(&["part"])
        .worry("it is 1");
pub(crate) const STORE_DELAYED: Metric = Metric::gauge(
    "annalist_store_delayed_write_rate",
    "Bytes per second to which RocksDB slows writes down until it has caught up; 0 when it does not.",
)
.labels(&["part"])
.worry("it is not 0");
pub(crate) const STORE_ERRORS: Metric =
    Metric::gauge("annalist_store_background_errors", "Errors of RocksDB's background work since the start.")
        .labels(&["part"])
        .worry("it is not 0");
pub(crate) const STORE_MEMTABLES: Metric =
    Metric::gauge("annalist_store_memtables", "What RocksDB holds in memory until it is in tables.")
        .unit(Unit::Bytes)
        .labels(&["part"]);
pub(crate) const STORE_CACHE: Metric =
    Metric::gauge("annalist_store_block_cache", "What the cached blocks of the index take.").unit(Unit::Bytes);

/// All metrics of the store.
pub const METRICS: &[Metric] = &[
    APPEND_DURATION,
    APPEND_REPEATED,
    APPEND_REFUSED,
    APPEND_EVENTS,
    APPEND_BYTES,
    APPEND_QUEUED,
    APPEND_IN_FLIGHT,
    PAGE_GROUP,
    PAGE_COMMIT,
    INDEX_CHUNK,
    INDEX_LAG,
    INDEX_WAITING,
    INDEX_DISK,
    SUBSCRIPTION_OPEN,
    SUBSCRIPTION_LAG,
    READ_BEGUN,
    STORE_HEALTH,
    STORE_EVENTS,
    STORE_STREAMS,
    STORE_EVENT_BYTES,
    STORE_DISK,
    STORE_DISK_FREE,
    STORE_COMPACTION,
    STORE_STALLED,
    STORE_DELAYED,
    STORE_ERRORS,
    STORE_MEMTABLES,
    STORE_CACHE,
];

/// Why appends are refused, and the number of each reason.
const REASONS: [&str; 9] =
    ["conflict", "condition", "key-reused", "invalid", "unavailable", "unknown", "poisoned", "closed", "damaged"];

fn reason(error: &AppendError) -> usize {
    match error {
        AppendError::Conflict { .. } => 0,
        AppendError::ConditionFailed { .. } => 1,
        AppendError::KeyReused { .. } => 2,
        AppendError::Invalid(_)
        | AppendError::TooLarge { .. }
        | AppendError::Store(StoreError::Invalid(_) | StoreError::ForeignCursor { .. }) => 3,
        AppendError::Unavailable { .. } | AppendError::Store(StoreError::Unavailable { .. }) => 4,
        AppendError::Unknown { .. } => 5,
        AppendError::Poisoned { .. } => 6,
        AppendError::Store(StoreError::Closed) => 7,
        // Whatever kinds are added would be counted here: give them a reason of their own.
        _ => 8,
    }
}

/// What a read is from.
const SOURCES: [&str; 3] = ["stream", "query", "log"];

/// What an open store counts.
#[derive(Debug)]
pub(crate) struct StoreMetrics {
    append_duration: Histogram,
    append_repeated: Counter,
    append_refused: [Counter; REASONS.len()],
    append_events: Counter,
    append_bytes: Counter,
    page_group: Histogram,
    page_commit: Histogram,
    /// When the commit began that is under way, in nanoseconds behind `opened`; zero when none is.
    commit_began: AtomicU64,
    opened: Instant,
    index_chunk: Histogram,
    disk_lookups: Counter,
    reads: [Counter; SOURCES.len()],
    /// Where each subscription is.
    subscriptions: Mutex<Vec<Weak<AtomicU64>>>,
}

/// Where a subscription is, for as long as it lives.
pub(crate) type Seen = Arc<AtomicU64>;

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        Self {
            append_duration: Histogram::of_durations(),
            append_repeated: Counter::default(),
            append_refused: Default::default(),
            append_events: Counter::default(),
            append_bytes: Counter::default(),
            page_group: Histogram::of_counts(),
            page_commit: Histogram::of_durations(),
            commit_began: AtomicU64::new(0),
            opened: Instant::now(),
            index_chunk: Histogram::of_durations(),
            disk_lookups: Counter::default(),
            reads: Default::default(),
            subscriptions: Mutex::default(),
        }
    }

    /// An append was answered.
    pub(crate) fn answered(&self, answer: &Result<Appended, AppendError>) {
        match answer {
            Ok(appended) if appended.repeated => self.append_repeated.add(1),
            Ok(_) => {}
            Err(error) => {
                if let Some(refused) = self.append_refused.get(reason(error)) {
                    refused.add(1);
                }
            }
        }
    }

    /// A group goes to the disk now.
    pub(crate) fn commit_begins(&self, now: Instant) {
        let since = u64::try_from((now - self.opened).as_nanos()).unwrap_or(u64::MAX);
        self.commit_began.store(since.max(1), Ordering::Relaxed);
    }

    /// The disk has answered, well or not.
    pub(crate) fn commit_ends(&self) {
        self.commit_began.store(0, Ordering::Relaxed);
    }

    /// A group is durable after so long.
    pub(crate) fn committed(&self, took: Duration, appends: usize, events: usize, bytes: usize) {
        self.page_commit.took(took);
        self.page_group.record(appends as u64);
        self.append_events.add(events as u64);
        self.append_bytes.add(bytes as u64);
    }

    /// An append is durable after so long. Said by the one thread that made it so, which has looked at its clock once for all
    /// appends of a group, and has the counters to itself.
    pub(crate) fn appended(&self, took: Duration) {
        self.append_duration.took(took);
    }

    /// For how long the disk has not answered.
    pub(crate) fn commit_under_way(&self) -> Option<Duration> {
        let began = self.commit_began.load(Ordering::Relaxed);
        (began > 0).then(|| self.opened.elapsed().saturating_sub(Duration::from_nanos(began)))
    }

    /// A chunk was added to the index.
    pub(crate) fn indexed(&self, took: Duration) {
        self.index_chunk.took(took);
    }

    /// Something could not be looked up in memory.
    pub(crate) fn not_in_memory(&self) {
        self.disk_lookups.add(1);
    }

    /// A read begins.
    pub(crate) fn reads(&self, source: &Source) {
        let [stream, query, log] = &self.reads;
        match source {
            Source::Stream { .. } => stream,
            Source::Query { query: of, .. } if !of.is_all() => query,
            _ => log,
        }
        .add(1);
    }

    /// A subscription begins behind this position.
    pub(crate) fn subscribed(&self, after: Position) -> Seen {
        let seen = Arc::new(AtomicU64::new(after.get()));
        let mut subscriptions = self.subscriptions.lock();
        subscriptions.retain(|seen| seen.strong_count() > 0);
        subscriptions.push(Arc::downgrade(&seen));
        seen
    }

    /// Adds all that is counted; `head` is the last durable position.
    pub(crate) fn collect(&self, head: Position, metrics: &mut Metrics) {
        metrics.add(APPEND_DURATION, &[], &self.append_duration);
        metrics.add(APPEND_REPEATED, &[], &self.append_repeated);
        for (reason, refused) in REASONS.iter().zip(&self.append_refused) {
            metrics.add(APPEND_REFUSED, &[reason], refused);
        }
        metrics.add(APPEND_EVENTS, &[], &self.append_events);
        metrics.add(APPEND_BYTES, &[], &self.append_bytes);
        metrics.add(PAGE_GROUP, &[], &self.page_group);
        metrics.add(PAGE_COMMIT, &[], &self.page_commit);
        metrics.add(INDEX_CHUNK, &[], &self.index_chunk);
        metrics.add(INDEX_DISK, &[], &self.disk_lookups);
        for (source, reads) in SOURCES.iter().zip(&self.reads) {
            metrics.add(READ_BEGUN, &[source], reads);
        }
        let open: Vec<Seen> = self.subscriptions.lock().iter().filter_map(Weak::upgrade).collect();
        let slowest = open.iter().map(|seen| seen.load(Ordering::Relaxed)).min();
        metrics.add_gauge(SUBSCRIPTION_OPEN, &[], open.len() as u64);
        metrics.add_gauge(SUBSCRIPTION_LAG, &[], slowest.map_or(0, |seen| head.get().saturating_sub(seen)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_under_way_until_the_disk_has_answered() {
        let metrics = StoreMetrics::new();
        assert_eq!(metrics.commit_under_way(), None);
        let a_minute = Duration::from_mins(1);
        metrics.commit_begins(metrics.opened);
        let began = metrics.opened.checked_sub(a_minute).expect("the machine runs for a minute");
        let metrics = StoreMetrics { opened: began, ..metrics };
        assert!(metrics.commit_under_way().is_some_and(|under_way| under_way >= a_minute));
        metrics.commit_ends();
        assert_eq!(metrics.commit_under_way(), None);
    }
}
