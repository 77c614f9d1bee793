//! The span of a request: the trace that it goes on with, the conversation that it belongs to, and what came of it.

use annalist_core::EventId;
use annalist_proto::v1;
use annalist_telemetry::{PROBE, trace_id};
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tonic::{Code, Status};
use tracing::{Instrument as _, Span, field::Empty};

use crate::limits::{CORRELATION_ID_BYTES_MAX, TRACEPARENT_BYTES_MAX, TRACESTATE_BYTES_MAX};

/// The header of the conversation that a request belongs to.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Where in a trace a caller is.
struct Caller<'a> {
    trace_id: String,
    traceparent: &'a str,
    tracestate: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// `None` if that says nothing.
    fn of(traceparent: Option<&'a str>, tracestate: Option<&'a str>) -> Option<Self> {
        let traceparent = traceparent.filter(|text| text.len() <= TRACEPARENT_BYTES_MAX)?;
        let tracestate = tracestate.filter(|text| text.len() <= TRACESTATE_BYTES_MAX);
        Some(Self { trace_id: trace_id(traceparent)?, traceparent, tracestate })
    }

    fn of_headers(headers: &'a HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self::of(text("traceparent"), text("tracestate"))
    }
}

macro_rules! span {
    ($target:expr, $method:expr, $path:expr, $correlation:expr, $caller:expr) => {{
        let caller: Option<&Caller<'_>> = $caller;
        tracing::info_span!(
            target: $target,
            "annalist.request",
            correlation_id = $correlation,
            trace_id = caller.map(|caller| &*caller.trace_id),
            traceparent = caller.map(|caller| caller.traceparent),
            tracestate = caller.and_then(|caller| caller.tracestate),
            method = $method,
            path = $path,
            status = Empty,
            grpc_status = Empty,
            otel.status_code = Empty,
        )
    }};
}

/// Answers a request within a span, and says in the answer which conversation it belongs to. The span ends where the answer
/// begins: subscriptions and shared calls last.
pub(crate) async fn within(request: Request, next: Next) -> Response {
    let given = request.headers().get(CORRELATION_ID).filter(|id| is_well_formed(id)).cloned();
    let correlation = given.or_else(|| HeaderValue::try_from(EventId::generate().to_string()).ok());
    let span = {
        let caller = Caller::of_headers(request.headers());
        let (method, path) = (request.method().as_str(), request.uri().path());
        let correlation = correlation.as_ref().and_then(|id| id.to_str().ok());
        if is_probe(path) {
            span!(PROBE, method, path, correlation, caller.as_ref())
        } else {
            span!("annalist_server", method, path, correlation, caller.as_ref())
        }
    };
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    came_to(&span, code);
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(id) = correlation {
        response.headers_mut().insert(CORRELATION_ID, id);
    }
    response
}

/// The span of one of the requests that share a call. Without a caller who follows a trace there is none: there are many, and
/// each would be a trace of its own.
pub(crate) fn shared(path: &'static str, trace: Option<&v1::TraceContext>) -> Span {
    let caller = trace.and_then(|trace| Caller::of(Some(&trace.traceparent), trace.tracestate.as_deref()));
    let Some(caller) = caller else { return Span::none() };
    span!("annalist_server", "POST", path, None::<&str>, Some(&caller))
}

/// Says what came of a request over gRPC, if it is not well.
pub(crate) fn came_to(span: &Span, code: Code) {
    if code == Code::Ok {
        return;
    }
    span.record("grpc_status", i32::from(code));
    // Those that are the server's fault, as the conventions of OpenTelemetry have it.
    let failed = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}

/// There are many, and nobody follows them.
fn is_probe(path: &str) -> bool {
    path == "/metrics" || path.starts_with("/health/") || path.starts_with("/grpc.health.v1.Health/")
}

fn is_well_formed(id: &HeaderValue) -> bool {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    (1..=CORRELATION_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(is_one)
}
