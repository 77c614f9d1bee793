//! The outermost layer: every request has a context, every answer says which conversation it belongs to.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use annalist::Env;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use super::{
    TraceContext,
    context::{CORRELATION_ID, DEGRADED, RequestContext},
};
use crate::telemetry::PROBE;

/// Gives each request a [`RequestContext`] and a span with its ids, and each answer, errors too, the header
/// `x-correlation-id`.
#[derive(Clone)]
pub struct RequestLayer {
    env: Arc<dyn Env>,
    timeout: Duration,
}

impl RequestLayer {
    /// Requests are answered within `timeout`, or earlier if their caller says so.
    #[must_use]
    pub fn new(env: Arc<dyn Env>, timeout: Duration) -> Self {
        Self { env, timeout }
    }
}

impl fmt::Debug for RequestLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLayer").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = WithContext<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithContext { inner, layer: self.clone() }
    }
}

/// What [`RequestLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct WithContext<S> {
    inner: S,
    layer: RequestLayer,
}

impl<S, B, R> Service<Request<B>> for WithContext<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let RequestLayer { env, timeout } = &self.layer;
        let cx = RequestContext::of_headers(request.headers(), &**env).until(Instant::now() + *timeout);
        let span = span(&request, &cx);
        let cx = cx.followed_by(&span);
        span.record("trace_id", cx.trace().trace_id());
        request.extensions_mut().insert(cx.clone());
        let answer = self.inner.call(request);
        let (around, told) = (cx.clone(), span.clone());
        Box::pin(
            cx.scope(async move {
                let mut response = answer.await?;
                told.record("status", response.status().as_u16());
                if response.status().is_server_error() {
                    told.record("otel.status_code", "ERROR");
                }
                let headers = response.headers_mut();
                if let Ok(id) = HeaderValue::from_str(around.correlation_id().as_str()) {
                    headers.insert(CORRELATION_ID, id);
                }
                if let Some(clients) = around.degraded() {
                    headers.insert(DEGRADED, clients);
                }
                Ok(response)
            })
            .instrument(span),
        )
    }
}

/// The span of a request, which goes on with its caller's trace.
fn span<B>(request: &Request<B>, cx: &RequestContext) -> Span {
    let path = request.uri().path();
    let caller = TraceContext::of_headers(request.headers());
    macro_rules! span {
        ($target:expr) => {
            tracing::info_span!(
                target: $target,
                "annalist.request",
                correlation_id = %cx.correlation_id(),
                request_id = %cx.request_id(),
                trace_id = Empty,
                traceparent = caller.as_ref().map(display),
                tracestate = caller.as_ref().and_then(TraceContext::state),
                cause = cx.cause(),
                method = %request.method(),
                path,
                status = Empty,
                otel.status_code = Empty,
            )
        };
    }
    if path == "/metrics" || path.starts_with("/health") { span!(PROBE) } else { span!("annalist_service") }
}
