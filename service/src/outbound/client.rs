//! Calls to a dependency.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tower::{
    ServiceBuilder, ServiceExt,
    retry::budget::{Budget, TpsBudget},
    util::BoxCloneSyncService,
};
use tracing::{Instrument, field::Empty};

use super::{
    Answer, CallError, Clients,
    attempt::Call,
    retry::Retries,
    settings::{Bulkhead, Fallback, FallbackKind, Missed, RetryBudget, Timeouts},
};
use crate::{
    breaker::{Breaker, BreakerPolicy},
    request::{IDEMPOTENCY_KEY, RequestContext},
};

/// What a client consists of.
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) base: Uri,
    pub(super) sla: Option<Duration>,
    pub(super) timeouts: Timeouts,
    pub(super) retries: RetryBudget,
    pub(super) policy: BreakerPolicy,
    pub(super) bulkhead: Bulkhead,
    pub(super) fallback: Fallback,
    pub(super) budget: Arc<TpsBudget>,
    pub(super) breaker: Breaker,
    /// Everything from the breaker inwards.
    pub(super) stack: BoxCloneSyncService<Call, Response<Bytes>, CallError>,
}

/// Calls to one dependency. From the outside in, each passes: a span, the fallback, the deadline, retries within a budget, the
/// circuit breaker, the bulkhead, the time-out of an attempt, the transport. Clones share all of them.
#[derive(Clone)]
pub struct OutboundClient {
    pub(super) parts: Arc<Parts>,
    pub(super) clients: Clients,
}

impl OutboundClient {
    /// A call by GET. The path follows that of the client's base.
    pub fn get(&self, path: &str) -> CallBuilder<'_> {
        self.call(Method::GET, path)
    }

    /// A call by POST. It is tried again only if it has an [`CallBuilder::idempotency_key`].
    pub fn post(&self, path: &str) -> CallBuilder<'_> {
        self.call(Method::POST, path)
    }

    /// A call by any method.
    pub fn call(&self, method: Method, path: &str) -> CallBuilder<'_> {
        let uri = format!("{}{path}", self.parts.base.to_string().trim_end_matches('/'));
        let uri = uri.parse::<Uri>().map_err(|error| CallError::Invalid(format!("`{uri}`: {error}")));
        let request = uri.map(|uri| {
            let mut request = Request::new(Bytes::new());
            (*request.method_mut(), *request.uri_mut()) = (method, uri);
            request
        });
        CallBuilder { client: self, request }
    }

    /// Its circuit breaker.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.parts.breaker
    }

    /// The name of the dependency.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Answer, CallError> {
        let env = self.clients.env();
        let cx = RequestContext::current().unwrap_or_else(|| RequestContext::begin(&**env));
        let span = tracing::info_span!(
            "annalist.call",
            client = self.parts.name,
            method = %request.method(),
            path = request.uri().path(),
            correlation_id = %cx.correlation_id(),
            trace_id = Empty,
            status = Empty,
            otel.status_code = Empty,
        );
        let cx = cx.followed_by(&span);
        span.record("trace_id", cx.trace().trace_id());
        let begun = Instant::now();
        let answer = self.or_fallback(request, cx).instrument(span.clone()).await;
        match &answer {
            Ok(answer) => _ = span.record("status", answer.status().as_u16()),
            Err(_) => _ = span.record("otel.status_code", "ERROR"),
        }
        self.clients.count(&self.parts.name, &answer, begun.elapsed());
        answer
    }

    /// Asks the dependency, and the fallback if that has no answer.
    async fn or_fallback(&self, request: Request<Bytes>, cx: RequestContext) -> Result<Answer, CallError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let error = match self.within_deadline(request, cx.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let FallbackKind::Answer(answer) = &self.parts.fallback.0 else { return Err(error) };
        let why = Arc::new(error);
        let Some(answer) = answer(Missed { method, uri, why: Arc::clone(&why) }).await else {
            return Err(Arc::unwrap_or_clone(why));
        };
        tracing::warn!(error = %why, kind = why.kind(), "the fallback answers for a dependency");
        cx.note_degraded(&self.parts.name);
        Ok(answer.because(why))
    }

    async fn within_deadline(&self, request: Request<Bytes>, cx: RequestContext) -> Result<Answer, CallError> {
        let Parts { timeouts, retries, budget, stack, .. } = &*self.parts;
        let ours = Instant::now() + timeouts.total;
        let deadline = cx.deadline().map_or(ours, |deadline| deadline.min(ours));
        if deadline <= Instant::now() {
            return Err(CallError::DeadlineExceeded);
        }
        budget.deposit();
        let (settings, budget, env) = (*retries, Arc::clone(budget), Arc::clone(self.clients.env()));
        let retries = Retries { settings, budget, env, attempts: 0 };
        let stack = ServiceBuilder::new().retry(retries).service(stack.clone());
        let response = timeout_at(deadline, stack.oneshot(Call { request, deadline, cx })).await;
        let answer = Answer::from(response.map_err(|_elapsed| CallError::DeadlineExceeded)??);
        if answer.status().is_server_error() { Err(CallError::Failed(Box::new(answer))) } else { Ok(answer) }
    }
}

impl fmt::Debug for OutboundClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundClient")
            .field("name", &self.parts.name)
            .field("base", &self.parts.base)
            .field("breaker", &self.parts.breaker)
            .finish_non_exhaustive()
    }
}

/// A call before it is sent.
#[derive(Debug)]
#[must_use = "a call is sent by `send()`"]
pub struct CallBuilder<'a> {
    client: &'a OutboundClient,
    request: Result<Request<Bytes>, CallError>,
}

impl CallBuilder<'_> {
    /// Adds a header. What correlates the call and bounds its time is added by itself.
    pub fn header(self, name: HeaderName, value: impl AsRef<str>) -> Self {
        self.change(|request| {
            let invalid = |error| CallError::Invalid(format!("header `{name}`: {error}"));
            let value = HeaderValue::from_str(value.as_ref()).map_err(invalid)?;
            request.headers_mut().insert(name, value);
            Ok(())
        })
    }

    /// By what the dependency recognises the call when it comes again. Only that makes a call that changes something safe to
    /// be tried again: give the same key for the same request, also after a restart.
    pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
        self.header(IDEMPOTENCY_KEY, key)
    }

    /// A body, as JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        self.change(|request| {
            let body = serde_json::to_vec(value).map_err(|error| CallError::Invalid(error.to_string()))?;
            *request.body_mut() = body.into();
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(())
        })
    }

    /// A body of any kind; say which by a header.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.change(|request| {
            *request.body_mut() = body.into();
            Ok(())
        })
    }

    /// Sends it, and waits for an answer: at most as long as the client's time-outs allow and the request that the current
    /// task answers still has.
    ///
    /// # Errors
    /// [`CallError`] when there is no answer, the dependency failed (500 and above), and the fallback has none either. A
    /// status below 500 is an answer.
    pub async fn send(self) -> Result<Answer, CallError> {
        self.client.send(self.request?).await
    }

    fn change(mut self, change: impl FnOnce(&mut Request<Bytes>) -> Result<(), CallError>) -> Self {
        self.request = self.request.and_then(|mut request| change(&mut request).map(|()| request));
        self
    }
}
