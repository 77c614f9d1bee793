//! What belongs to a request while it is answered.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use annalist::{Circumstances, Deadline, Env, Metadata};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

use super::{
    CorrelationId, TraceContext,
    trace::{TRACEPARENT, TRACESTATE},
};
use crate::{
    limits::HOP_MARGIN,
    telemetry::{current, trace_of},
};

/// The header of the correlation id.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The header that names what caused a request: the id of the caller's own request, of an event or of a command.
pub const CAUSATION_ID: HeaderName = HeaderName::from_static("x-causation-id");
/// The header that says how many milliseconds the caller still waits: relative, so that clocks need not agree.
pub const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// The header that names the outbound clients whose fallback had a part in an answer.
pub const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");
/// The header by which a repeated request is recognised.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// What belongs to a request while it is answered: its conversation, its place in a trace, until when its caller waits. It
/// is bound to the task that answers; log lines, commands and outgoing calls of that task take it from there. Whoever spawns
/// another task hands it on: `tokio::spawn(cx.scope(work))`.
#[derive(Clone, Debug)]
pub struct RequestContext {
    correlation_id: CorrelationId,
    request_id: Uuid,
    cause: Option<Arc<str>>,
    trace: TraceContext,
    deadline: Option<Instant>,
    degraded: Arc<Mutex<BTreeSet<String>>>,
}

impl RequestContext {
    /// The context of something that begins here.
    #[must_use]
    pub fn begin(env: &dyn Env) -> Self {
        Self {
            correlation_id: CorrelationId::mint(env),
            request_id: env.new_id(),
            cause: None,
            trace: TraceContext::begin(env),
            deadline: None,
            degraded: Arc::default(),
        }
    }

    /// The context of a request with these headers. What is missing or not well-formed is made anew: nothing that a caller
    /// sends makes a request fail here.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap, env: &dyn Env) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let correlation_id = text(&CORRELATION_ID).and_then(CorrelationId::parse);
        // The same alphabet: it goes to the same places.
        let cause = text(&CAUSATION_ID).and_then(CorrelationId::parse).map(|id| id.as_str().into());
        let caller = TraceContext::of_headers(headers);
        let millis = text(&REQUEST_TIMEOUT).and_then(|millis| millis.parse().ok());
        let begun = Self::begin(env);
        Self {
            correlation_id: correlation_id.unwrap_or(begun.correlation_id),
            cause,
            trace: caller.map_or(begun.trace, |caller| caller.child(env)),
            deadline: millis.and_then(|millis| Instant::now().checked_add(Duration::from_millis(millis))),
            ..begun
        }
    }

    /// The context of work on an event or a message: it continues the conversation that the event belongs to. `cause` is the
    /// id of the event or message.
    #[must_use]
    pub fn continuing(metadata: &Metadata, cause: &str, env: &dyn Env) -> Self {
        let trace = metadata.traceparent.as_deref();
        let trace = trace.and_then(|parent| TraceContext::parse(parent, metadata.tracestate.as_deref()));
        let begun = Self::begin(env);
        Self {
            correlation_id: metadata
                .correlation_id
                .as_deref()
                .and_then(CorrelationId::parse)
                .unwrap_or(begun.correlation_id),
            cause: Some(cause.into()),
            trace: trace.map_or(begun.trace, |trace| trace.child(env)),
            ..begun
        }
    }

    /// The same, answered by then at the latest.
    #[must_use]
    pub fn until(self, latest: Instant) -> Self {
        Self { deadline: Some(self.deadline.map_or(latest, |deadline| deadline.min(latest))), ..self }
    }

    /// The same, at the place in the trace that the span has which it is followed by, if there is one.
    pub(crate) fn followed_by(self, span: &Span) -> Self {
        let trace = trace_of(span).and_then(|trace| TraceContext::try_from(trace).ok());
        Self { trace: trace.unwrap_or(self.trace), ..self }
    }

    /// That of the request which the current task answers, if it answers one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Does something as part of it.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The conversation.
    #[must_use]
    pub const fn correlation_id(&self) -> &CorrelationId {
        &self.correlation_id
    }

    /// The identity of this request alone: what its outgoing calls name as their cause.
    #[must_use]
    pub const fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// What caused it, as far as the caller says.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Its place in the trace.
    #[must_use]
    pub const fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// Until when its caller waits.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What its commands are told: their events carry the conversation and the trace, and name what caused the request. A
    /// command waits no longer than the request.
    #[must_use]
    pub fn circumstances(&self) -> Circumstances {
        let metadata = Metadata {
            correlation_id: Some(self.correlation_id.to_string()),
            causation_id: self.cause.as_deref().map(str::to_owned),
            traceparent: Some(self.trace.to_string()),
            tracestate: self.trace.state().map(str::to_owned),
            ..Metadata::default()
        };
        Circumstances { metadata, deadline: self.deadline.map(Deadline::At) }
    }

    /// Writes what an outgoing call carries on. `deadline` is that of the call; the callee is told a little less than what
    /// is left, so that its answer arrives while it is waited for.
    pub(crate) fn write(&self, headers: &mut HeaderMap, deadline: Instant, env: &dyn Env) {
        let current = current().and_then(|trace| TraceContext::try_from(trace).ok());
        let span = current.unwrap_or_else(|| self.trace.child(env));
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(HOP_MARGIN);
        let mut put = |name: HeaderName, value: &str| {
            // None of these has a character that a header cannot have.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        put(CORRELATION_ID, self.correlation_id.as_str());
        put(CAUSATION_ID, &self.request_id.to_string());
        put(TRACEPARENT, &span.to_string());
        put(REQUEST_TIMEOUT, &left.as_millis().to_string());
        if let Some(state) = span.state() {
            put(TRACESTATE, state);
        }
    }

    /// Notes that an answer of this client's fallback is part of the answer.
    pub(crate) fn note_degraded(&self, client: &str) {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).insert(client.to_owned());
    }

    /// The clients whose fallback had a part in the answer, for its header.
    pub(super) fn degraded(&self) -> Option<HeaderValue> {
        let degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
        if degraded.is_empty() {
            return None;
        }
        HeaderValue::from_str(&degraded.iter().map(String::as_str).collect::<Vec<_>>().join(", ")).ok()
    }
}

/// The circumstances of the current task, for
/// [`AppBuilder::circumstances`](annalist::AppBuilder::circumstances): those of the request that it answers, or none.
#[must_use]
pub fn circumstances() -> Circumstances {
    RequestContext::current().map(|current| current.circumstances()).unwrap_or_default()
}
