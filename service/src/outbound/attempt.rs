//! One attempt at a call, bounded in time.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use annalist::Env;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::time::Instant;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use super::CallError;
use crate::{breaker::Outcome, request::RequestContext};

/// What carries calls to a dependency.
pub(super) type Transport = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, CallError>;

/// A call on its way.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) request: Request<Bytes>,
    /// Until when all its attempts must be done.
    pub(super) deadline: Instant,
    pub(super) cx: RequestContext,
}

/// The innermost part: tells the callee what it belongs to, and waits no longer than an attempt may take.
#[derive(Clone)]
pub(super) struct Attempts {
    pub(super) transport: Transport,
    pub(super) timeout: Duration,
    pub(super) env: Arc<dyn Env>,
}

impl Service<Call> for Attempts {
    type Response = Response<Bytes>;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Response<Bytes>, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Call { mut request, deadline, cx }: Call) -> Self::Future {
        let Self { transport, timeout, env } = self.clone();
        Box::pin(async move {
            let latest = Instant::now() + timeout;
            cx.write(request.headers_mut(), deadline.min(latest), &*env);
            match tokio::time::timeout_at(latest.min(deadline), transport.oneshot(request)).await {
                Ok(answer) => answer,
                // The caller's time is over, which is not the dependency's fault.
                Err(_) if deadline < latest => Err(CallError::DeadlineExceeded),
                Err(_) => Err(CallError::TimedOut { after: timeout }),
            }
        })
    }
}

/// What an attempt says about the dependency, for its breaker. A "no" is an answer; being asked to wait is neither.
pub(super) fn outcome(result: &Result<Response<Bytes>, CallError>) -> Outcome {
    match result {
        Ok(response) if response.status().is_server_error() => Outcome::Failure,
        Ok(response) if response.status() == http::StatusCode::TOO_MANY_REQUESTS => Outcome::Ignored,
        Ok(_) => Outcome::Success,
        Err(CallError::TimedOut { .. } | CallError::Unreachable(_) | CallError::TooLarge { .. }) => Outcome::Failure,
        Err(_) => Outcome::Ignored,
    }
}
