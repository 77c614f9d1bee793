//! Why a call has no answer.

use std::{error::Error, sync::Arc, time::Duration};

use http::StatusCode;
use tower::{BoxError, load_shed::error::Overloaded};

use super::answer::Answer;
use crate::{breaker::BreakerOpen, problem::Problem};

/// Why a call has no answer, or none that is worth anything. Whether the dependency has done what it was asked is known only
/// where that is said.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The circuit breaker is open. Nothing was sent.
    #[error(transparent)]
    Open(#[from] BreakerOpen),
    /// As many calls are under way as the bulkhead lets through. Nothing was sent.
    #[error("as many calls of `{client}` are under way as are allowed; try again later")]
    Full {
        /// Which client.
        client: String,
    },
    /// The attempt took longer than it may. What it asked for may have been done.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// How long an attempt may take.
        after: Duration,
    },
    /// The time for the whole call is over, retries included. What it asked for may have been done.
    #[error("the deadline of the call passed")]
    DeadlineExceeded,
    /// There was no answer to be had: no connection, or one that broke. What it asked for may have been done.
    #[error("no answer")]
    Unreachable(#[source] Arc<dyn Error + Send + Sync>),
    /// The dependency answered that it failed (a status of 500 or more).
    #[error("the dependency failed: {}", .0.status())]
    Failed(Box<Answer>),
    /// The last attempt failed like this, and more retries than the budget allows have been made.
    #[error("the retry budget is spent")]
    BudgetSpent(#[source] Arc<CallError>),
    /// The answer is larger than answers may be. What was asked for has been done.
    #[error("the answer has more than {bytes_max} bytes")]
    TooLarge {
        /// How large it may be.
        bytes_max: usize,
    },
    /// The call cannot be sent as it is. Change it.
    #[error("the call cannot be sent as it is: {0}")]
    Invalid(String),
}

impl CallError {
    /// A short name of the kind, for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Full { .. } => "full",
            Self::TimedOut { .. } => "timed-out",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Unreachable(_) => "unreachable",
            Self::Failed(_) => "failed",
            Self::BudgetSpent(_) => "budget-spent",
            Self::TooLarge { .. } => "too-large",
            Self::Invalid(_) => "invalid",
        }
    }

    /// What the layers that know nothing of calls say.
    pub(super) fn of_layer(error: BoxError, client: &str) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(error) if error.is::<Overloaded>() => Self::Full { client: client.to_owned() },
            Err(error) => Self::Unreachable(error.into()),
        }
    }
}

/// The dependency is away: 503, or 504 when it was time that was missing.
impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        tracing::warn!(%error, kind = error.kind(), "a call has no answer");
        match error {
            CallError::TimedOut { .. } | CallError::DeadlineExceeded => {
                Self::new(StatusCode::GATEWAY_TIMEOUT).kind("dependency-timeout", "A dependency did not answer in time")
            }
            CallError::Invalid(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR),
            CallError::Open(BreakerOpen { retry_after, .. }) => unavailable().retry_after(retry_after),
            _ => unavailable().retry_after(crate::limits::RETRY_AFTER),
        }
    }
}

fn unavailable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).kind("dependency-unavailable", "A dependency is not available")
}
