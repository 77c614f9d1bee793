//! The store over plain HTTP, for `curl` and for who has no gRPC: appends, reads, subscriptions as server-sent events, probes,
//! metrics.

mod append;
mod cursor;
mod events;
mod follow;
mod openapi;
mod probes;
mod problem;
mod query;
mod read;
mod schema;

pub use append::fingerprint;
pub(crate) use problem::Problem;

use std::sync::Arc;

use annalist_store::Store;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use tonic::Status;

use crate::{answers::AnswersMax, group::Groups, limits::HTTP_BODY_BYTES_MAX, stopping::Stopping};

/// What handlers work with.
#[derive(Clone)]
struct Api {
    store: Store,
    groups: Arc<Groups>,
    answers: AnswersMax,
    stopping: Stopping,
}

/// Everything that is answered over HTTP.
pub(crate) fn routes(store: &Store, groups: &Arc<Groups>, answers: &AnswersMax, stopping: &Stopping) -> Router {
    let (groups, answers) = (Arc::clone(groups), answers.clone());
    let api = Api { store: store.clone(), groups, answers, stopping: stopping.clone() };
    Router::new()
        .route("/v1/append", post(append::append))
        .route("/v1/outcome", get(append::outcome))
        .route("/v1/events", get(read::events))
        .route("/v1/query", post(read::query))
        .route("/v1/subscribe", get(follow::subscribe))
        .route("/v1/head", get(read::head))
        .route("/v1/statistics", get(read::statistics))
        .route("/health/live", get(probes::live))
        .route("/health/ready", get(probes::ready))
        .route("/health/startup", get(probes::live))
        .route("/metrics", get(probes::metrics))
        .route("/openapi.json", get(openapi::document))
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(unknown)
        .with_state(api)
}

/// Whether somebody speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// What is answered where nothing is: in the words of who asks.
async fn unknown(request: Request) -> Response {
    if is_grpc(request.headers()) {
        return Status::unimplemented("this server has no such method; it may be older than the client").into_http();
    }
    Problem::not_found(request.uri().path()).into_response()
}
