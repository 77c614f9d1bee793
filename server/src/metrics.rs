//! Everything that the server measures: each metric is declared here, and nowhere else, with what counts it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use annalist_metrics::{Counter, Metric, Metrics, Unit};

const GROUP_LAG: Metric = Metric::gauge(
    "annalist_group_lag_events",
    "Positions of the log that a group has not looked at, whether its query finds anything there or not.",
)
.labels(&["group"])
.worry("it grows");
const GROUP_OPEN: Metric = Metric::gauge(
    "annalist_group_open_events",
    "Events that a group has taken in and that are neither settled, nor parked, nor behind a parked one.",
)
.labels(&["group"])
.worry("at 4,096: the group takes no more in until members have caught up");
const GROUP_READY: Metric = Metric::gauge(
    "annalist_group_ready",
    "Events that a group has in memory to be handed out; from 32 MiB of all groups together on they read less far ahead.",
)
.unit(Unit::Bytes)
.labels(&["group"]);
const GROUP_IN_FLIGHT: Metric =
    Metric::gauge("annalist_group_in_flight_events", "Events that are with members, which have not answered yet.")
        .labels(&["group"]);
const GROUP_PARKED: Metric =
    Metric::gauge("annalist_group_parked_events", "Events that failed too often; their streams wait for a person.")
        .labels(&["group"])
        .worry("it is not 0");
const GROUP_MEMBERS: Metric = Metric::gauge("annalist_group_members", "Members of a group.")
    .labels(&["group"])
    .worry("it is 0 while there are open events");
const GROUP_DELIVERED: Metric =
    Metric::counter("annalist_group_delivered_events", "Events that were handed out, those that came again included.")
        .labels(&["group"]);
const GROUP_REDELIVERED: Metric = Metric::counter(
    "annalist_group_redelivered_events",
    "Events that were handed out again: refused, not answered in time, or with a member that went.",
)
.labels(&["group"])
.worry("many beside those delivered: members fail, or take longer than they may");

/// All metrics of the server; those of its store are beside them where it is asked.
pub const METRICS: &[Metric] = &[
    GROUP_LAG,
    GROUP_OPEN,
    GROUP_READY,
    GROUP_IN_FLIGHT,
    GROUP_PARKED,
    GROUP_MEMBERS,
    GROUP_DELIVERED,
    GROUP_REDELIVERED,
];

/// How a group is. Its task says so after each step; whoever asks need not wait for it.
#[derive(Default, Debug)]
pub(crate) struct GroupMeter {
    /// Up to which position events were taken in.
    pub(crate) read: AtomicU64,
    pub(crate) open: AtomicU64,
    /// In bytes.
    pub(crate) ready: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) members: AtomicU64,
    pub(crate) delivered: Counter,
    pub(crate) redelivered: Counter,
}

impl GroupMeter {
    /// Adds what was measured, with the log at `head`.
    pub(crate) fn add_to(&self, metrics: &mut Metrics, name: &str, head: u64) {
        let gauges = [
            (GROUP_LAG, head.saturating_sub(self.read.load(Relaxed))),
            (GROUP_OPEN, self.open.load(Relaxed)),
            (GROUP_READY, self.ready.load(Relaxed)),
            (GROUP_IN_FLIGHT, self.in_flight.load(Relaxed)),
            (GROUP_PARKED, self.parked.load(Relaxed)),
            (GROUP_MEMBERS, self.members.load(Relaxed)),
        ];
        for (metric, value) in gauges {
            metrics.add_gauge(metric, &[name], value);
        }
        metrics.add(GROUP_DELIVERED, &[name], &self.delivered);
        metrics.add(GROUP_REDELIVERED, &[name], &self.redelivered);
    }
}

#[cfg(test)]
mod tests;
