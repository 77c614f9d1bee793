//! Asking for a key before anything else.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tonic::Status;

use crate::{
    http::Problem,
    keys::{Keys, Role},
};

/// Lets those through whose key is good for what they ask.
pub(crate) async fn guard(State(keys): State<Arc<Keys>>, request: Request, next: Next) -> Response {
    let Some(needed) = needed(request.uri().path()) else { return next.run(request).await };
    let is_grpc = is_grpc(request.headers());
    match bearer(request.headers()).and_then(|key| keys.role(key)) {
        Some(role) if role >= needed => next.run(request).await,
        Some(role) => {
            let why = format!("the key is good for {role}; this needs {needed}");
            if is_grpc {
                return Status::permission_denied(why).into_http();
            }
            Problem::denied(StatusCode::FORBIDDEN, &why).into_response()
        }
        None => {
            let why = "no key, or one that is not known; send it as `authorization: Bearer KEY`";
            if is_grpc {
                return Status::unauthenticated(why).into_http();
            }
            Problem::denied(StatusCode::UNAUTHORIZED, why).into_response()
        }
    }
}

/// What a request needs; `None` if nothing. Probes come from machines that hold no keys, and learn nothing.
fn needed(path: &str) -> Option<Role> {
    match path {
        _ if path.starts_with("/health/") || path.starts_with("/grpc.health.v1.Health/") => None,
        "/v1/append"
        | "/annalist.v1.EventStore/Append"
        | "/annalist.v1.Snapshots/Save"
        | "/annalist.v1.Checkpoints/Save" => Some(Role::Append),
        _ => Some(Role::Read),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
