//! The description of all this, made from it.

use axum::Json;
use utoipa::OpenApi;

use super::{append, follow, probes, read, schema::PositionText};

/// A store of events over plain HTTP.
#[derive(OpenApi)]
#[openapi(
    info(title = "Annalist"),
    paths(
        append::append,
        append::outcome,
        read::events,
        read::query,
        follow::subscribe,
        read::head,
        read::statistics,
        probes::live,
        probes::ready,
        probes::metrics,
    ),
    // What stands in the parameters of a read alone is not found by itself.
    components(schemas(PositionText))
)]
struct Description;

/// The document.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
