//! What must be decided about every dependency.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{Method, Uri};
use serde::Serialize;
use tokio::sync::Semaphore;
use tower::retry::budget::TpsBudget;

use super::{Answer, CallError};
use crate::limits::{
    ATTEMPTS_MAX, RETRIES_PER_SECOND_MIN, RETRY_BUDGET_WINDOW, RETRY_PAUSE_FIRST, RETRY_PAUSE_MAX, RETRY_PERCENT,
};

/// How long a call may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Timeouts {
    pub(crate) attempt: Duration,
    pub(crate) total: Duration,
}

impl Timeouts {
    /// Each attempt may take so long; the whole call as long as all attempts.
    #[must_use]
    pub fn per_attempt(attempt: Duration) -> Self {
        Self { attempt, total: attempt.saturating_mul(ATTEMPTS_MAX) }
    }

    /// The whole call, pauses and retries included, may take so long. It never takes longer than the request that it is part
    /// of still may.
    #[must_use]
    pub fn total(self, total: Duration) -> Self {
        Self { total, ..self }
    }
}

impl From<Duration> for Timeouts {
    fn from(attempt: Duration) -> Self {
        Self::per_attempt(attempt)
    }
}

/// How often failed calls are tried again: so many attempts each, and for all calls of the client together no more than a
/// part of them. Only what may be repeated is: calls with a safe method, or with an `Idempotency-Key`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct RetryBudget {
    pub(crate) attempts_max: u32,
    pub(crate) percent: u32,
    pub(crate) per_second_min: u32,
    pub(super) pause_first: Duration,
    pub(super) pause_max: Duration,
}

impl RetryBudget {
    /// No retries at all.
    #[must_use]
    pub fn none() -> Self {
        Self { attempts_max: 1, ..Self::default() }
    }

    /// Attempts at one call, the first included. Default 3.
    #[must_use]
    pub fn attempts_max(self, attempts_max: u32) -> Self {
        Self { attempts_max: attempts_max.max(1), ..self }
    }

    /// Retries for each hundred calls of the last ten seconds, and for each second besides. Default 20 and 10.
    #[must_use]
    pub fn percent(self, percent: u32, per_second_min: u32) -> Self {
        Self { percent: percent.min(1_000), per_second_min: per_second_min.min(1_000_000), ..self }
    }

    /// The longest pause before the second attempt, which doubles with each further one, and the longest of all. The pause
    /// itself is anything from nothing up to that. Default 50 ms and 1 s.
    #[must_use]
    pub fn pauses(self, first: Duration, max: Duration) -> Self {
        Self { pause_first: first, pause_max: max, ..self }
    }

    pub(super) fn open(&self) -> TpsBudget {
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand percent")]
        TpsBudget::new(RETRY_BUDGET_WINDOW, self.per_second_min, self.percent as f32 / 100.0)
    }

    /// The pause before another attempt, after so many; `part` is from 0 to 1.
    pub(super) fn pause(&self, attempts: u32, part: f64) -> Duration {
        let doubled = self.pause_first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        doubled.min(self.pause_max).mul_f64(part.clamp(0.0, 1.0))
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            attempts_max: ATTEMPTS_MAX,
            percent: RETRY_PERCENT,
            per_second_min: RETRIES_PER_SECOND_MIN,
            pause_first: RETRY_PAUSE_FIRST,
            pause_max: RETRY_PAUSE_MAX,
        }
    }
}

/// How many calls may be under way at the same time; more are turned away at once. So a dependency that hangs holds up only
/// those who need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Bulkhead {
    pub(crate) calls_max: usize,
}

impl Bulkhead {
    /// So many.
    #[must_use]
    pub fn new(calls_max: usize) -> Self {
        // More than a semaphore can count is as good as no bound.
        Self { calls_max: calls_max.clamp(1, Semaphore::MAX_PERMITS) }
    }
}

/// A call that has no answer, as a fallback sees it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Missed {
    /// Its method.
    pub method: Method,
    /// Where it went.
    pub uri: Uri,
    /// Why there is no answer.
    pub why: Arc<CallError>,
}

/// What is answered when the dependency does not.
#[derive(Clone)]
pub struct Fallback(pub(super) FallbackKind);

/// Answers in the place of a dependency; `None` when it has nothing to say either.
type Answers = Arc<dyn Fn(Missed) -> BoxFuture<'static, Option<Answer>> + Send + Sync>;

#[derive(Clone)]
pub(super) enum FallbackKind {
    Answer(Answers),
    /// There is none, for this reason.
    None(String),
}

impl Fallback {
    pub(super) fn new<F: Future<Output = Option<Answer>> + Send + 'static>(
        answer: impl Fn(Missed) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(FallbackKind::Answer(Arc::new(move |missed| Box::pin(answer(missed)))))
    }

    /// Why there is none.
    pub(super) fn missing(&self) -> Option<&str> {
        match &self.0 {
            FallbackKind::Answer(_) => None,
            FallbackKind::None(reason) => Some(reason),
        }
    }
}

impl std::fmt::Debug for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fallback").field(&self.missing()).finish()
    }
}
