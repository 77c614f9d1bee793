//! Asking who somebody is before anything else.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tonic::Status;

use crate::{
    audit::{Audit, Entry, ImportCounts},
    connections::Peer,
    http::{Problem, is_grpc},
    keys::KeyFile,
    principal::{Principal, Role},
    tls::Tls,
};

/// What is asked for.
pub(crate) struct Access {
    /// A key of these.
    pub(crate) keys: Option<Arc<KeyFile>>,
    /// A certificate, if this asks clients for theirs.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Where it is told who was refused, and who did what only few may.
    pub(crate) audit: Arc<Audit>,
}

impl Access {
    /// Whether anything is asked for.
    pub(crate) fn asks(&self) -> bool {
        self.asks_for_certificates() || self.keys.is_some()
    }

    fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.asks_clients())
    }

    /// Who asks; or what is missing.
    fn who(&self, peer: &Peer, headers: &HeaderMap) -> Result<Arc<Principal>, &'static str> {
        let certified = peer.certificate.as_deref();
        if self.asks_for_certificates() && certified.is_none() {
            return Err("no certificate; this server takes requests from clients that have one alone");
        }
        // It was not when they agreed on TLS.
        if let (Some(tls), Some(shown)) = (&self.tls, certified)
            && tls.has_revoked(shown)
        {
            return Err("a certificate that was revoked");
        }
        let Some(keys) = &self.keys else {
            return Ok(Arc::new(Principal::unconfined(certified.map_or("anybody", |shown| &shown.subject))));
        };
        // Who sends a key is who bears it, whatever the certificate says.
        let (known, missing) = match (headers.get(AUTHORIZATION), certified) {
            (None, Some(shown)) => (
                keys.certified(&shown.names),
                "no key, and a certificate that is not in the file of keys by any of its alternative names",
            ),
            (key, _) => (
                key.and_then(bearer).and_then(|key| keys.bearer(key)),
                "no key, or one that is not known; send it as `authorization: Bearer KEY`",
            ),
        };
        known.ok_or(missing)
    }
}

/// Lets those through whose certificate and key are good for what they ask, and says to the handlers who they are.
pub(crate) async fn guard(
    State(access): State<Arc<Access>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(needed) = needed(request.uri().path()) else { return next.run(request).await };
    let grpc = is_grpc(request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // Few requests are told of: the others pay for no text.
    let tell = |who: Option<&str>, result: &str, why: Option<&str>| {
        let (what, from) = (format!("{method} {}", uri.path()), peer.address.to_string());
        access.audit.tell(Entry { who, what: &what, from: &from, result, why });
    };
    let who = match access.who(&peer, request.headers()) {
        Ok(who) => who,
        Err(why) => {
            tell(None, "unknown", Some(why));
            return if grpc {
                Status::unauthenticated(why).into_http()
            } else {
                Problem::denied(StatusCode::UNAUTHORIZED, why).into_response()
            };
        }
    };
    if who.role < needed {
        let why = format!("`{}` may {}; this needs {needed}", who.name, who.role);
        tell(Some(&who.name), "denied", Some(&why));
        return if grpc {
            Status::permission_denied(why).into_http()
        } else {
            Problem::denied(StatusCode::FORBIDDEN, &why).into_response()
        };
    }
    request.extensions_mut().insert(Arc::clone(&who));
    if SHARED.contains(&request.uri().path()) {
        let (what, from) = (format!("{method} {}", uri.path()), peer.address.to_string());
        let (audit, who) = (Arc::clone(&access.audit), Arc::clone(&who));
        request.extensions_mut().insert(Denials(Arc::new(Denial { audit, who, what, from })));
    }
    let hung_up = HungUp((needed == Role::Admin).then_some(|| tell(Some(&who.name), "hung-up", None)));
    let response = next.run(request).await;
    hung_up.answered();
    if let Some(pieces) = response.extensions().get::<ImportCounts>() {
        let (what, from) = (format!("{method} {}", uri.path()), peer.address.to_string());
        let entry = Entry { who: Some(&who.name), what: &what, from: &from, result: "done", why: None };
        access.audit.tell_piece(entry, peer.address, *pieces);
        return response;
    }
    match came_of(&response) {
        Outcome::Denied => tell(Some(&who.name), "denied", Some(CONFINED)),
        Outcome::Done if needed == Role::Admin => tell(Some(&who.name), "done", None),
        Outcome::Failed if needed == Role::Admin => tell(Some(&who.name), "failed", None),
        Outcome::Done | Outcome::Failed => {}
    }
    response
}

/// Tells of a request that is given up before it is answered, since its caller is gone: what it asked for may be done all the same.
struct HungUp<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> HungUp<F> {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for HungUp<F> {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell();
        }
    }
}

/// Why the handlers deny what the guard has let in.
const CONFINED: &str = "it is confined to categories";

/// The call that appends share.
pub(crate) const PIPELINE: &str = "/annalist.v1.EventStore/Pipeline";
/// The call that short reads share.
pub(crate) const LOOKUP: &str = "/annalist.v1.EventStore/Lookup";

/// Calls that many requests share. What is denied to one of them does not show in how the call is answered.
const SHARED: [&str; 2] = [PIPELINE, LOOKUP];

/// Where the handler of a shared call tells what it denies. Such calls have it as an extension.
#[derive(Clone)]
pub(crate) struct Denials(Arc<Denial>);

struct Denial {
    audit: Arc<Audit>,
    who: Arc<Principal>,
    what: String,
    from: String,
}

impl Denials {
    /// One request was denied.
    pub(crate) fn tell(&self) {
        let Denial { audit, who, what, from } = &*self.0;
        audit.tell(Entry { who: Some(&who.name), what, from, result: "denied", why: Some(CONFINED) });
    }
}

enum Outcome {
    Done,
    Failed,
    Denied,
}

/// What came of a request, as far as the head of its answer tells. A status of gRPC that is no success stands there.
fn came_of(response: &Response) -> Outcome {
    let grpc = response.headers().get("grpc-status").map(HeaderValue::as_bytes);
    match (response.status(), grpc) {
        (StatusCode::FORBIDDEN, _) | (_, Some(b"7")) => Outcome::Denied,
        (status, None | Some(b"0")) if status.is_success() => Outcome::Done,
        _ => Outcome::Failed,
    }
}

/// What a request needs; `None` if nothing. Probes come from machines that hold no keys, and learn nothing.
fn needed(path: &str) -> Option<Role> {
    match path {
        _ if path.starts_with("/health/") || path.starts_with("/grpc.health.v1.Health/") => None,
        "/v1/append"
        | "/annalist.v1.EventStore/Append"
        | "/annalist.v1.EventStore/Pipeline"
        | "/annalist.v1.Snapshots/Save"
        | "/annalist.v1.Checkpoints/Save"
        | "/annalist.v1.Groups/Join" => Some(Role::Append),
        "/annalist.v1.Groups/Replay"
        | "/annalist.v1.Groups/Skip"
        | "/annalist.v1.Groups/Remove"
        | "/annalist.v1.Care/Verify"
        | "/annalist.v1.Care/Backup"
        | "/annalist.v1.Care/Backups"
        | "/annalist.v1.Care/Import" => Some(Role::Admin),
        _ => Some(Role::Read),
    }
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, key) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests;
