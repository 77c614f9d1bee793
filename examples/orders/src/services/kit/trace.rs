//! What a service has recorded for one request, wherever that began.

use annalist::{App, Position, Query, Read};
use annalist_service::Problem;
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use serde::{Deserialize, Serialize};

/// An event that was recorded for a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// When, in RFC 3339.
    pub time: String,
    /// By which service.
    pub service: String,
    /// Its type.
    pub event: String,
    /// Its stream.
    pub stream: String,
    /// Its place in the log of that service.
    pub position: u64,
    /// What caused it: a command, an event, or a message of another service.
    pub cause: Option<String>,
}

/// Answers `GET /trace/{correlation-id}`. It reads the whole log: that is for a person who looks for something, now and then.
pub fn trace_routes(service: &'static str) -> impl FnOnce(App) -> Router + Send + 'static {
    move |app| Router::new().route("/trace/{id}", get(traced)).with_state((app, service))
}

async fn traced(
    State((app, service)): State<(App, &'static str)>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Traced>>, Problem> {
    let mut events = app.store().events().read(Read::query(Query::all(), Position::ZERO)).await?;
    let mut found = Vec::new();
    loop {
        let batch = events.next().await?;
        if batch.is_empty() {
            return Ok(Json(found));
        }
        for event in batch {
            let metadata = event.metadata();
            if metadata.correlation_id.as_deref() == Some(id.as_str()) {
                found.push(Traced {
                    time: event.time.to_string(),
                    service: service.to_owned(),
                    event: event.type_name().to_owned(),
                    stream: event.stream().to_owned(),
                    position: event.position.get(),
                    cause: metadata.causation_id,
                });
            }
        }
    }
}
