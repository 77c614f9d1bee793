//! What the parts of an app have counted, and how far they are, as metrics.

use std::time::Duration;

use annalist_core::{EventStore, Position, Read};
use annalist_metrics::Metrics;

use crate::{
    command::Commands, env::Env, inbox::RunningInbox, metrics, outbox::Relay, projection::Projections, saga::Sagas,
};

pub(super) fn commands(commands: &Commands, all: &mut Metrics) {
    commands.metrics.collect(all);
    all.add_gauge(metrics::COMMAND_IN_FLIGHT, &[], commands.gate.in_flight());
    commands.executor.aggregates.collect(all);
}

pub(super) async fn projections(projections: &Projections, all: &mut Metrics) {
    for projection in projections.all() {
        projection.collect(all);
        let Ok(status) = projection.status().await else { continue };
        let labels = [status.name];
        all.add_gauge(metrics::PROJECTION_LAG_EVENTS, &labels, status.lag);
        all.add(metrics::PROJECTION_LAG, &labels, status.lag_time.as_secs_f64());
        all.add(metrics::PROJECTION_ERRORS, &labels, status.errors);
        all.add_gauge(metrics::PROJECTION_PARKED, &labels, status.parked.events);
        if let Some(progress) = status.rebuild {
            all.add(metrics::PROJECTION_REBUILD, &labels, progress.fraction());
        }
    }
}

pub(super) async fn sagas(sagas: &Sagas, all: &mut Metrics) {
    for saga in sagas.all() {
        saga.collect(all);
        let Ok(status) = saga.status().await else { continue };
        let instances =
            [("running", status.running), ("quarantined", status.quarantined), ("completed", status.completed)];
        for (state, count) in instances {
            all.add_gauge(metrics::SAGA_INSTANCES, &[status.name, state], count);
        }
        let labels = [status.name];
        all.add_gauge(metrics::SAGA_PENDING, &labels, status.pending);
        all.add_gauge(metrics::SAGA_TIMERS, &labels, status.timers);
        all.add(metrics::SAGA_PASSED, &labels, status.passed);
        all.add_gauge(metrics::SAGA_LAG, &labels, status.lag);
    }
}

pub(super) async fn relays(relays: &[Relay], events: &dyn EventStore, env: &dyn Env, all: &mut Metrics) {
    for relay in relays {
        let status = relay.status();
        let labels = [status.destination.as_str()];
        relay.collect(&status.destination, all);
        all.add(metrics::OUTBOX_PUBLISHED, &labels, status.published);
        all.add(metrics::OUTBOX_FENCED, &labels, status.fenced);
        all.add_gauge(metrics::OUTBOX_LAG, &labels, status.lag());
        let age =
            if status.lag() == 0 { Some(Duration::ZERO) } else { age(status.scanned.position, events, env).await };
        if let Some(age) = age {
            all.add(metrics::OUTBOX_AGE, &labels, age.as_secs_f64());
        }
    }
}

pub(super) fn inboxes(inboxes: &[RunningInbox], all: &mut Metrics) {
    for inbox in inboxes {
        let status = inbox.status();
        let outcomes = [("handled", status.handled), ("skipped", status.skipped), ("dead", status.dead)];
        for (outcome, count) in outcomes {
            all.add(metrics::INBOX_MESSAGES, &[status.inbox, outcome], count);
        }
        let labels = [status.inbox];
        all.add(metrics::INBOX_FAILURES, &labels, status.failures);
        all.add_gauge(metrics::INBOX_FAILING, &labels, status.failing);
        all.add_gauge(metrics::INBOX_LAG, &labels, status.lag());
        all.add_gauge(metrics::INBOX_CONNECTED, &labels, u64::from(status.is_connected()));
    }
}

/// The age of the first event behind a position, if it can be read.
async fn age(after: Position, events: &dyn EventStore, env: &dyn Env) -> Option<Duration> {
    let first = events.read(Read::all(after).limit(1)).await.ok()?.next().await.ok()?.pop();
    let age = first.map_or(0, |event| env.now().as_micros().saturating_sub(event.time.as_micros()));
    Some(Duration::from_micros(u64::try_from(age).unwrap_or_default()))
}
