//! Which calls are tried again, and when.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use annalist::Env;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Response, StatusCode, header};
use tokio::time::Instant;
use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

use super::{CallError, RetryBudget, attempt::Call};
use crate::request::IDEMPOTENCY_KEY;

/// Decides about retries of one call; each call has its own.
#[derive(Clone)]
pub(super) struct Retries {
    pub(super) settings: RetryBudget,
    pub(super) budget: Arc<TpsBudget>,
    pub(super) env: Arc<dyn Env>,
    pub(super) attempts: u32,
}

impl Policy<Call, Response<Bytes>, CallError> for Retries {
    type Future = BoxFuture<'static, ()>;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Response<Bytes>, CallError>) -> Option<Self::Future> {
        self.attempts += 1;
        if !may_pass(result) || !may_be_repeated(call) || self.attempts >= self.settings.attempts_max {
            return None;
        }
        let jittered = self.settings.pause(self.attempts, self.env.jitter());
        let asked = result.as_ref().ok().and_then(|response| retry_after(response, &*self.env));
        let pause = jittered.max(asked.unwrap_or_default());
        if Instant::now() + pause >= call.deadline {
            // There would be no time left for an answer.
            return None;
        }
        if !self.budget.withdraw() {
            spent(result);
            return None;
        }
        tracing::debug!(attempt = self.attempts, ?pause, "trying a call again");
        Some(Box::pin(tokio::time::sleep(pause)))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        (self.settings.attempts_max > 1 && may_be_repeated(call)).then(|| call.clone())
    }
}

/// Whether it may go away by itself.
fn may_pass(result: &Result<Response<Bytes>, CallError>) -> bool {
    match result {
        Ok(response) => matches!(
            response.status(),
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        Err(CallError::TimedOut { .. } | CallError::Unreachable(_)) => true,
        // What is open or full would be so again at once; the rest does not go away.
        Err(_) => false,
    }
}

/// Whether doing it twice is the same as doing it once.
fn may_be_repeated(call: &Call) -> bool {
    let safe = matches!(*call.request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    safe || call.request.headers().contains_key(IDEMPOTENCY_KEY)
}

/// Says in the result that it would have been tried again.
fn spent(result: &mut Result<Response<Bytes>, CallError>) {
    let nothing = Err(CallError::DeadlineExceeded);
    let last = match std::mem::replace(result, nothing) {
        Ok(response) => CallError::Failed(Box::new(response.into())),
        Err(error) => error,
    };
    *result = Err(CallError::BudgetSpent(Arc::new(last)));
}

/// After how long the dependency wants to be asked again: seconds, or a date.
fn retry_after(response: &Response<Bytes>, env: &dyn Env) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(env.now().as_micros()).ok()?);
    Some(at.duration_since(now).unwrap_or_default())
}
