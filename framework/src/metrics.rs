//! Everything that the framework measures: each metric is declared here, and nowhere else, with what counts it. The store's
//! are declared in its own package.

use std::{sync::Arc, time::Duration};

use annalist_metrics::{Counter, Histogram, Metric, Metrics, Unit};
use arc_swap::ArcSwap;
use hashbrown::HashMap;

const COMMAND_EXECUTED: Metric = Metric::counter(
    "annalist_command_executed",
    "Commands by what came of them: `recorded`, `repeated`, `rejected`, or the kind of the failure.",
)
.labels(&["command", "outcome"])
.worry("`unknown`, `unavailable`, `contended` or `deadline-exceeded` grow beside `recorded`");
const COMMAND_DURATION: Metric =
    Metric::histogram("annalist_command_duration", "From awaiting a command to its answer, its turn included.")
        .unit(Unit::Seconds)
        .labels(&["command"])
        .worry("the 99th percentile is above what callers wait");
const COMMAND_RETRIED: Metric =
    Metric::counter("annalist_command_retried", "Attempts that were made again, after a conflict or without a store.")
        .labels(&["command"])
        .worry("as many as commands: they contend for one stream or query");
pub(crate) const COMMAND_IN_FLIGHT: Metric =
    Metric::gauge("annalist_command_in_flight", "Commands that have their turn and no answer.")
        .worry("at the bound of the options: callers wait for their turn");

const AGGREGATE_LOOKUPS: Metric =
    Metric::counter("annalist_aggregate_cache_lookups", "Look-ups among the hot aggregates: `hit` or `miss`.")
        .labels(&["result"])
        .worry("mostly `miss` although the same aggregates come again: keep more");
const AGGREGATE_CACHED: Metric = Metric::gauge("annalist_aggregate_cached", "Hot aggregates that are kept in memory.");
const AGGREGATE_SNAPSHOTS: Metric = Metric::counter(
    "annalist_aggregate_snapshots",
    "Snapshots: `written`, `failed` to be written, `used`, or `void` (of another shape or another history).",
)
.labels(&["outcome"])
.worry("`failed` at all; `void` long after a release");

const PROJECTION_EVENTS: Metric =
    Metric::counter("annalist_projection_events", "Events that were applied, `following` the log or in a `rebuild`.")
        .labels(&["projection", "during"]);
const PROJECTION_BATCH: Metric =
    Metric::histogram("annalist_projection_batch_duration", "The transaction of one batch of events.")
        .unit(Unit::Seconds)
        .labels(&["projection"]);
pub(crate) const PROJECTION_LAG_EVENTS: Metric =
    Metric::gauge("annalist_projection_lag_events", "Events that the view has not seen.")
        .labels(&["projection"])
        .worry("it grows");
pub(crate) const PROJECTION_LAG: Metric =
    Metric::gauge("annalist_projection_lag", "How long ago the oldest event was recorded that the view has not seen.")
        .unit(Unit::Seconds)
        .labels(&["projection"])
        .worry("above what readers accept");
pub(crate) const PROJECTION_ERRORS: Metric =
    Metric::counter("annalist_projection_errors", "Attempts to apply events that failed.")
        .labels(&["projection"])
        .worry("it grows");
pub(crate) const PROJECTION_PARKED: Metric =
    Metric::gauge("annalist_projection_parked_events", "Events that are set aside until a person has looked at them.")
        .labels(&["projection"])
        .worry("it is not 0");
pub(crate) const PROJECTION_REBUILD: Metric =
    Metric::gauge("annalist_projection_rebuild", "How far a rebuild is; only while there is one.")
        .unit(Unit::Ratio)
        .labels(&["projection"]);

const SAGA_INPUTS: Metric =
    Metric::counter("annalist_saga_inputs", "Inputs that were recorded: `event`, `timer`, `accepted`, `rejected`.")
        .labels(&["saga", "input"]);
const SAGA_COMMANDS: Metric = Metric::counter(
    "annalist_saga_commands",
    "Commands that were sent, by what came of it: `accepted`, `rejected`, `retried`, or `broken` (into quarantine).",
)
.labels(&["saga", "outcome"])
.worry("`broken` at all; `retried` grows");
pub(crate) const SAGA_PASSED: Metric =
    Metric::counter("annalist_saga_passed_events", "Events that were for no instance, or for a completed one.")
        .labels(&["saga"]);
pub(crate) const SAGA_INSTANCES: Metric =
    Metric::gauge("annalist_saga_instances", "Instances: `running`, in quarantine (`quarantined`), `completed`.")
        .labels(&["saga", "state"])
        .worry("`quarantined` is not 0");
pub(crate) const SAGA_PENDING: Metric =
    Metric::gauge("annalist_saga_pending_commands", "Commands without an outcome.").labels(&["saga"]).worry("it grows");
pub(crate) const SAGA_TIMERS: Metric =
    Metric::gauge("annalist_saga_waiting_timers", "Timers that have not fired.").labels(&["saga"]);
pub(crate) const SAGA_LAG: Metric =
    Metric::gauge("annalist_saga_lag_events", "Events of the log that the saga has not looked at.")
        .labels(&["saga"])
        .worry("it grows");

pub(crate) const OUTBOX_PUBLISHED: Metric =
    Metric::counter("annalist_outbox_published", "Messages that the destination has acknowledged.")
        .labels(&["destination"]);
const OUTBOX_DURATION: Metric =
    Metric::histogram("annalist_outbox_publish_duration", "The publishing of one window of messages.")
        .unit(Unit::Seconds)
        .labels(&["destination"]);
const OUTBOX_RETRIES: Metric =
    Metric::counter("annalist_outbox_retries", "How often publishing was interrupted and resumed.")
        .labels(&["destination"])
        .worry("it grows");
pub(crate) const OUTBOX_FENCED: Metric =
    Metric::counter("annalist_outbox_fenced", "How often another relay had published in between.")
        .labels(&["destination"])
        .worry("more than after a hand-over: two relays run");
pub(crate) const OUTBOX_LAG: Metric =
    Metric::gauge("annalist_outbox_lag_events", "Events of the log that the relay has not dealt with.")
        .labels(&["destination"])
        .worry("it grows");
pub(crate) const OUTBOX_AGE: Metric = Metric::gauge(
    "annalist_outbox_oldest_unpublished",
    "How long ago the oldest event was recorded that the relay has not dealt with.",
)
.unit(Unit::Seconds)
.labels(&["destination"])
.worry("above what other services accept");

pub(crate) const INBOX_MESSAGES: Metric = Metric::counter(
    "annalist_inbox_messages",
    "Messages that were dealt with: `handled`, `skipped` (nobody wanted them), or `dead` (put aside as dead letters).",
)
.labels(&["inbox", "outcome"])
.worry("`dead` grows: somebody has to look at them");
pub(crate) const INBOX_FAILURES: Metric =
    Metric::counter("annalist_inbox_failures", "Attempts to handle a message that failed.")
        .labels(&["inbox"])
        .worry("it grows");
pub(crate) const INBOX_FAILING: Metric = Metric::gauge(
    "annalist_inbox_failing_messages",
    "Messages that pause after a failure, each with its key waiting behind it.",
)
.labels(&["inbox"])
.worry("it stays above 0");
pub(crate) const INBOX_LAG: Metric =
    Metric::gauge("annalist_inbox_lag_messages", "Messages that are known and not dealt with.")
        .labels(&["inbox"])
        .worry("it grows");
pub(crate) const INBOX_CONNECTED: Metric =
    Metric::gauge("annalist_inbox_connected", "1 while the broker delivers.").labels(&["inbox"]).worry("it stays 0");

pub(crate) const APP_HEALTH: Metric =
    Metric::gauge("annalist_app_health", "1 for the state that a part of the app is in, 0 for the others.")
        .labels(&["part", "name", "state"])
        .worry("`read-only` or `failed` is 1; `degraded` stays 1");

/// All metrics of the framework.
pub const METRICS: &[Metric] = &[
    COMMAND_EXECUTED,
    COMMAND_DURATION,
    COMMAND_RETRIED,
    COMMAND_IN_FLIGHT,
    AGGREGATE_LOOKUPS,
    AGGREGATE_CACHED,
    AGGREGATE_SNAPSHOTS,
    PROJECTION_EVENTS,
    PROJECTION_BATCH,
    PROJECTION_LAG_EVENTS,
    PROJECTION_LAG,
    PROJECTION_ERRORS,
    PROJECTION_PARKED,
    PROJECTION_REBUILD,
    SAGA_INPUTS,
    SAGA_COMMANDS,
    SAGA_PASSED,
    SAGA_INSTANCES,
    SAGA_PENDING,
    SAGA_TIMERS,
    SAGA_LAG,
    OUTBOX_PUBLISHED,
    OUTBOX_DURATION,
    OUTBOX_RETRIES,
    OUTBOX_FENCED,
    OUTBOX_LAG,
    OUTBOX_AGE,
    INBOX_MESSAGES,
    INBOX_FAILURES,
    INBOX_FAILING,
    INBOX_LAG,
    INBOX_CONNECTED,
    APP_HEALTH,
];

/// What comes of commands; those behind the first three are the kinds of `CommandError`.
pub(crate) const OUTCOMES: [&str; 14] = [
    "recorded",
    "repeated",
    "rejected",
    "unrecordable",
    "key-reused",
    "contended",
    "unavailable",
    "unknown",
    "deadline-exceeded",
    "refused",
    "load",
    "reply",
    "store",
    "closed",
];

/// Counts commands, each by its name. The names are few, so a map that is replaced when one is added lets everyone look a name
/// up without a lock.
#[derive(Debug, Default)]
pub(crate) struct CommandMetrics(ArcSwap<HashMap<&'static str, Arc<OfCommand>>>);

#[derive(Debug)]
struct OfCommand {
    executed: [Counter; OUTCOMES.len()],
    duration: Histogram,
    retried: Counter,
}

impl CommandMetrics {
    /// A command was answered, one of [`OUTCOMES`].
    pub(crate) fn executed(&self, command: &'static str, outcome: &str, retries: u32, took: Duration) {
        let known = self.0.load();
        match known.get(command) {
            Some(counts) => counts.executed(outcome, retries, took),
            None => self.begin(command).executed(outcome, retries, took),
        }
    }

    #[cold]
    fn begin(&self, command: &'static str) -> Arc<OfCommand> {
        let new = Arc::new(OfCommand {
            executed: Default::default(),
            duration: Histogram::of_durations(),
            retried: Counter::default(),
        });
        self.0.rcu(|known| {
            let mut more = HashMap::clone(known);
            more.entry(command).or_insert_with(|| Arc::clone(&new));
            more
        });
        self.0.load().get(command).map_or(new, Arc::clone)
    }

    pub(crate) fn collect(&self, metrics: &mut Metrics) {
        let known = self.0.load();
        let mut names: Vec<_> = known.iter().collect();
        names.sort_unstable_by_key(|(name, _)| **name);
        for (command, counts) in names {
            for (outcome, executed) in OUTCOMES.iter().zip(&counts.executed) {
                metrics.add(COMMAND_EXECUTED, &[command, outcome], executed);
            }
            metrics.add(COMMAND_DURATION, &[command], &counts.duration);
            metrics.add(COMMAND_RETRIED, &[command], &counts.retried);
        }
    }
}

impl OfCommand {
    fn executed(&self, outcome: &str, retries: u32, took: Duration) {
        let counter = OUTCOMES.iter().zip(&self.executed).find(|(known, _)| **known == outcome);
        if let Some((_, counter)) = counter {
            counter.add(1);
        }
        self.duration.took(took);
        if retries > 0 {
            self.retried.add(retries.into());
        }
    }
}

/// Counts what becomes of snapshots.
#[derive(Debug, Default)]
pub(crate) struct SnapshotMetrics {
    pub(crate) written: Counter,
    pub(crate) failed: Counter,
    pub(crate) used: Counter,
    pub(crate) void: Counter,
}

impl SnapshotMetrics {
    pub(crate) fn collect(&self, metrics: &mut Metrics) {
        let Self { written, failed, used, void } = self;
        for (outcome, counter) in [("written", written), ("failed", failed), ("used", used), ("void", void)] {
            metrics.add(AGGREGATE_SNAPSHOTS, &[outcome], counter);
        }
    }
}

/// What the cache of hot aggregates has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CacheCounts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) cached: u64,
}

impl CacheCounts {
    pub(crate) fn collect(self, metrics: &mut Metrics) {
        metrics.add(AGGREGATE_LOOKUPS, &["hit"], self.hits);
        metrics.add(AGGREGATE_LOOKUPS, &["miss"], self.misses);
        metrics.add_gauge(AGGREGATE_CACHED, &[], self.cached);
    }
}

/// Counts what a projection does.
#[derive(Debug)]
pub(crate) struct ProjectionMetrics {
    pub(crate) following: Counter,
    pub(crate) rebuild: Counter,
    pub(crate) batches: Histogram,
}

impl ProjectionMetrics {
    pub(crate) fn new() -> Self {
        Self { following: Counter::default(), rebuild: Counter::default(), batches: Histogram::of_durations() }
    }

    pub(crate) fn collect(&self, name: &str, metrics: &mut Metrics) {
        metrics.add(PROJECTION_EVENTS, &[name, "following"], &self.following);
        metrics.add(PROJECTION_EVENTS, &[name, "rebuild"], &self.rebuild);
        metrics.add(PROJECTION_BATCH, &[name], &self.batches);
    }
}

/// Counts what a saga does.
#[derive(Debug, Default)]
pub(crate) struct SagaMetrics {
    pub(crate) events: Counter,
    pub(crate) timers: Counter,
    pub(crate) acceptances: Counter,
    pub(crate) rejections: Counter,
    pub(crate) sent_accepted: Counter,
    pub(crate) sent_rejected: Counter,
    pub(crate) sent_retried: Counter,
    pub(crate) sent_broken: Counter,
}

impl SagaMetrics {
    pub(crate) fn collect(&self, name: &str, metrics: &mut Metrics) {
        let inputs = [
            ("event", &self.events),
            ("timer", &self.timers),
            ("accepted", &self.acceptances),
            ("rejected", &self.rejections),
        ];
        for (input, counter) in inputs {
            metrics.add(SAGA_INPUTS, &[name, input], counter);
        }
        let outcomes = [
            ("accepted", &self.sent_accepted),
            ("rejected", &self.sent_rejected),
            ("retried", &self.sent_retried),
            ("broken", &self.sent_broken),
        ];
        for (outcome, counter) in outcomes {
            metrics.add(SAGA_COMMANDS, &[name, outcome], counter);
        }
    }
}

/// Counts what a relay does.
#[derive(Debug)]
pub(crate) struct RelayMetrics {
    pub(crate) windows: Histogram,
    pub(crate) retries: Counter,
}

impl RelayMetrics {
    pub(crate) fn new() -> Self {
        Self { windows: Histogram::of_durations(), retries: Counter::default() }
    }

    pub(crate) fn collect(&self, destination: &str, metrics: &mut Metrics) {
        metrics.add(OUTBOX_DURATION, &[destination], &self.windows);
        metrics.add(OUTBOX_RETRIES, &[destination], &self.retries);
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests;
