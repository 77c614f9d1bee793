//! What probes ask.

mod part;
mod pulse;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use annalist::App;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde::Serialize;

pub use part::{Condition, Part};
pub(crate) use pulse::Pulse;

use crate::outbound::Clients;

/// How a service is: of each of its parts, and as a whole.
///
/// * `GET /health/live`: the runtime and the store make progress; if not, a restart is the only help. It never looks outside.
/// * `GET /health/ready`: commands can be recorded, views are within their lag, and the service is not about to end. A
///   broker or a dependency that is away makes it degraded, not unready: the log keeps what it has to publish.
/// * `GET /health/startup`: everything has caught up once with what was recorded before.
/// * `GET /health`: all of it, with the parts.
///
/// Each answers 200 or 503, with the report as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The worst of all parts that matter to the question.
    pub condition: Condition,
    /// Whether the service is about to end.
    pub draining: bool,
    /// The parts.
    pub parts: Vec<Part>,
}

/// Answers probes.
#[derive(Clone)]
pub(crate) struct Probes {
    pub(crate) app: App,
    pub(crate) clients: Clients,
    pub(crate) pulse: Pulse,
    pub(crate) lag_max: Duration,
    /// Whether everything had caught up once.
    pub(crate) started: Arc<AtomicBool>,
    pub(crate) draining: Arc<AtomicBool>,
}

impl Probes {
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/health", get(whole))
            .route("/health/live", get(live))
            .route("/health/ready", get(ready))
            .route("/health/startup", get(startup))
            .with_state(self)
    }

    /// The report of everything.
    pub(crate) async fn health(&self) -> Health {
        let mut parts = vec![part::store(&self.app).await];
        parts.extend(part::parts(&self.app, self.lag_max).await);
        let starting = |part: &Part| part.condition == Condition::Starting;
        if !parts.iter().any(starting) {
            self.started.store(true, Ordering::Relaxed);
        }
        parts.extend(part::clients(&self.clients));
        let condition = parts.iter().map(|part| part.condition).max().unwrap_or(Condition::Up);
        Health { condition, draining: self.draining.load(Ordering::Relaxed), parts }
    }
}

async fn live(State(probes): State<Probes>) -> Response {
    let store = part::store(&probes.app).await;
    let dead = !probes.pulse.is_there() || store.condition == Condition::Dead;
    let condition = if dead { Condition::Dead } else { Condition::Up };
    answer(!dead, &Health { condition, draining: probes.draining.load(Ordering::Relaxed), parts: vec![store] })
}

async fn ready(State(probes): State<Probes>) -> Response {
    let health = probes.health().await;
    answer(health.condition < Condition::Starting && !health.draining, &health)
}

async fn startup(State(probes): State<Probes>) -> Response {
    let health = probes.health().await;
    answer(probes.started.load(Ordering::Relaxed), &health)
}

async fn whole(State(probes): State<Probes>) -> Response {
    let health = probes.health().await;
    answer(health.condition < Condition::Starting, &health)
}

fn answer(good: bool, health: &Health) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}
