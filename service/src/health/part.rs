//! What a service consists of, and how each part is.

use std::{fmt, time::Duration};

use annalist::{
    App, AppendError, Expected, StoreError, StreamId, Version,
    outbox::RelayState,
    projection::{ProjectionState, ProjectionStatus},
    saga::SagaState,
};
use annalist_core::Append;
use serde::Serialize;
use tokio::time::timeout;

use crate::{breaker::BreakerState, limits::HEALTH_CHECK_MAX, outbound::Clients};

/// How a part is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// As it should be.
    Up,
    /// Something is missing that the service does without for now: a broker, a dependency, one process of a saga.
    Degraded,
    /// It catches up with what was recorded before the start.
    Starting,
    /// The service cannot do its work without it.
    Down,
    /// It cannot get well by itself; a restart may help.
    Dead,
}

/// One part of a service and how it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// What it is: `store`, `projection`, `saga`, `outbox`, `client`.
    pub kind: &'static str,
    /// Its name among those of its kind.
    pub name: String,
    /// How it is.
    pub condition: Condition,
    /// The same for people.
    pub detail: String,
}

impl Part {
    fn new(kind: &'static str, name: impl Into<String>, condition: Condition, detail: impl fmt::Display) -> Self {
        Self { kind, name: name.into(), condition, detail: detail.to_string() }
    }
}

/// How the store is.
pub(super) async fn store(app: &App) -> Part {
    let of = |condition, detail: &dyn fmt::Display| Part::new("store", "events", condition, detail);
    match timeout(HEALTH_CHECK_MAX, app.store().events().append(probe())).await {
        // It takes appends, and this one is refused as it is meant to be.
        Ok(Ok(_) | Err(AppendError::Conflict { .. })) => of(Condition::Up, &"takes appends"),
        Ok(Err(error @ (AppendError::Poisoned { .. } | AppendError::Store(StoreError::Closed)))) => {
            of(Condition::Dead, &error)
        }
        Ok(Err(error)) => of(Condition::Down, &error),
        Err(_) => of(Condition::Down, &"does not answer"),
    }
}

/// An append that a store which takes appends refuses: it expects a version that no stream ever has.
fn probe() -> Append {
    let append = Append::new();
    match StreamId::of("health", "probe") {
        Ok(stream) => append.guard(stream, Expected::Exact(Version::MAX)),
        // An empty one is refused too, with another error.
        Err(_) => append,
    }
}

/// How everything is that runs in the app beside its store.
pub(super) async fn parts(app: &App, lag_max: Duration) -> Vec<Part> {
    let mut parts = Vec::new();
    for control in app.projections().all() {
        let name = control.name();
        parts.push(match control.status().await {
            Ok(status) => Part::new("projection", name, of_projection(&status, lag_max), &status),
            Err(error) => Part::new("projection", name, Condition::Down, error),
        });
    }
    match app.sagas().status().await {
        Ok(sagas) => parts.extend(sagas.into_iter().map(|saga| {
            let (condition, what) = match &saga.state {
                SagaState::CatchingUp => (Condition::Starting, "catching up".to_owned()),
                SagaState::Live if saga.quarantined > 0 => (Condition::Degraded, "live".to_owned()),
                SagaState::Live => (Condition::Up, "live".to_owned()),
                SagaState::Blocked(by) => (Condition::Degraded, format!("takes no more events in: {by}")),
                SagaState::Failed { error } => (Condition::Degraded, format!("takes no more events in: {error}")),
                _ => (Condition::Down, "stopped".to_owned()),
            };
            let detail = format!("{what}, {} events behind, {} in quarantine", saga.lag, saga.quarantined);
            Part::new("saga", saga.name, condition, detail)
        })),
        Err(error) => parts.push(Part::new("saga", "all", Condition::Degraded, error)),
    }
    parts.extend(app.relays().iter().map(|relay| {
        let status = relay.status();
        let condition = match status.state {
            RelayState::Connected => Condition::Up,
            // The log keeps what it has to publish: nothing is lost, and no other process would publish it.
            _ => Condition::Degraded,
        };
        Part::new("outbox", &status.destination, condition, &status)
    }));
    parts
}

/// A view that is behind, or goes no further, gives old answers.
fn of_projection(status: &ProjectionStatus, lag_max: Duration) -> Condition {
    match status.state {
        ProjectionState::Building | ProjectionState::Replaying => Condition::Starting,
        ProjectionState::Live if status.lag_time > lag_max => Condition::Down,
        ProjectionState::Live if status.parked.events > 0 => Condition::Degraded,
        ProjectionState::Live => Condition::Up,
        _ => Condition::Down,
    }
}

/// How the dependencies are, as far as their breakers know; nobody is asked.
pub(super) fn clients(clients: &Clients) -> Vec<Part> {
    let part = |status: crate::outbound::ClientStatus| {
        let condition = match status.breaker {
            BreakerState::Closed | BreakerState::ForcedClosed => Condition::Up,
            BreakerState::Open | BreakerState::HalfOpen | BreakerState::ForcedOpen => Condition::Degraded,
        };
        Part::new("client", &status.name, condition, format!("breaker {}", status.breaker.name()))
    };
    clients.status().into_iter().map(part).collect()
}
