//! Asking who somebody is before anything else.

use std::sync::Arc;

use axum::{
    Extension,
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
    connections::Peer,
    http::Problem,
    keys::{KeyFile, Role},
};

/// What is asked for.
pub(crate) struct Access {
    /// A key of these.
    pub(crate) keys: Option<Arc<KeyFile>>,
    /// A certificate.
    pub(crate) certificate: bool,
}

impl Access {
    /// Whether anything is asked for.
    pub(crate) const fn asks(&self) -> bool {
        self.certificate || self.keys.is_some()
    }
}

/// Lets those through whose certificate and key are good for what they ask.
pub(crate) async fn guard(
    State(access): State<Arc<Access>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let Some(needed) = needed(request.uri().path()) else { return next.run(request).await };
    let is_grpc = is_grpc(request.headers());
    if access.certificate && peer.certificate.is_none() {
        return unknown(is_grpc, "no certificate; this server takes requests from clients that have one alone");
    }
    let Some(keys) = &access.keys else { return next.run(request).await };
    match bearer(request.headers()).and_then(|key| keys.role(key)) {
        Some(role) if role >= needed => next.run(request).await,
        Some(role) => {
            let why = format!("the key is good for {role}; this needs {needed}");
            if is_grpc {
                return Status::permission_denied(why).into_http();
            }
            Problem::denied(StatusCode::FORBIDDEN, &why).into_response()
        }
        None => unknown(is_grpc, "no key, or one that is not known; send it as `authorization: Bearer KEY`"),
    }
}

fn unknown(is_grpc: bool, why: &str) -> Response {
    if is_grpc {
        return Status::unauthenticated(why).into_http();
    }
    Problem::denied(StatusCode::UNAUTHORIZED, why).into_response()
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
