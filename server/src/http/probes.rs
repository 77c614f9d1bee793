//! What probes and Prometheus ask.

use std::sync::Arc;

use annalist_metrics::Metrics;
use axum::{
    Extension, Json,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::principal::Principal;

/// How the store is.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthOut {
    /// `healthy`, `degraded`, `read-only` or `failed`.
    state: &'static str,
    /// What is in the way, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Whether the process is alive: it answers. The same for `/health/startup`, as nothing is answered before the store is open.
#[utoipa::path(get, path = "/health/live", responses((status = 200, description = "It is.", body = HealthOut)))]
pub(super) async fn live() -> Json<HealthOut> {
    Json(HealthOut { state: "healthy", why: None })
}

/// Whether the store takes appends.
#[utoipa::path(
    get, path = "/health/ready",
    responses(
        (status = 200, description = "It does.", body = HealthOut),
        (status = 503, description = "It does not, or the server is about to end.", body = HealthOut),
    )
)]
pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<HealthOut>) {
    if api.stopping.is_stopped() {
        let why = Some("the server is about to end".to_owned());
        return (StatusCode::SERVICE_UNAVAILABLE, Json(HealthOut { state: "failed", why }));
    }
    let health = api.store.health();
    let status = if health.takes_writes() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(HealthOut { state: health.state(), why: health.why().map(str::to_owned) }))
}

/// Everything that the store and the server measure, as Prometheus reads it. Of groups those are told that the caller may read.
#[utoipa::path(
    get, path = "/metrics",
    responses((status = 200, description = "OpenMetrics text.", body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(api): State<Api>, Extension(who): Extension<Arc<Principal>>) -> impl IntoResponse {
    let mut metrics = api.store.metrics().await;
    metrics.extend(api.groups.metrics(|query| who.may_query(query).is_ok()).await);
    ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.to_text())
}
