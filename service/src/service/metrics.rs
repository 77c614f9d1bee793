//! `/metrics`, for Prometheus.

use std::sync::Arc;

use annalist::App;
use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use prometheus_client::{encoding::text::encode_registry, registry::Registry};

/// What the text is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn metrics(registry: Registry, app: App) -> Router {
    let registry = Arc::new(registry);
    Router::new().route("/metrics", get(async move || text(&registry, &app).await))
}

/// What the service measures, and behind it what its app and its store do.
async fn text(registry: &Registry, app: &App) -> Response {
    let mut text = String::new();
    match encode_registry(&mut text, registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics().await.to_text_behind(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
