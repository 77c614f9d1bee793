//! How a client is made: every question about its dependency must be answered.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use tower::{Service, ServiceBuilder, util::BoxCloneSyncService};

use super::{
    Answer, CallError, Clients, OutboundClient,
    attempt::{Attempts, Transport, outcome},
    client::Parts,
    settings::{Bulkhead, Fallback, FallbackKind, Missed, RetryBudget, Timeouts},
    transport::transport,
};
use crate::breaker::{Breaker, BreakerLayer, BreakerPolicy};

/// How long the dependency may take has not been said.
#[derive(Clone, Copy, Debug)]
pub struct NoTimeout;
/// How often calls may be tried again has not been said.
#[derive(Clone, Copy, Debug)]
pub struct NoRetryBudget;
/// When the dependency is to be left alone has not been said.
#[derive(Clone, Copy, Debug)]
pub struct NoBreaker;
/// How many calls may be under way has not been said.
#[derive(Clone, Copy, Debug)]
pub struct NoBulkhead;
/// What to do without the dependency has not been said.
#[derive(Clone, Copy, Debug)]
pub struct NoFallback;

/// An answer to one of the questions that [`ClientBuilder`] asks.
#[diagnostic::on_unimplemented(
    message = "the outbound client is not complete: `{Self}`",
    label = "before `build()` is called, `{Self}` must be settled",
    note = "call each of `.timeout(..)`, `.retry_budget(..)`, `.breaker(..)`, `.bulkhead(..)`, and `.fallback(..)` or \
            `.no_fallback(\"reason\")`: a dependency that hangs or fails must not take this service with it"
)]
pub trait Settled<T>: sealed::Sealed {
    /// The answer.
    fn settled(self) -> T;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! settled {
    ($($setting:ty),*) => {$(
        impl sealed::Sealed for $setting {}
        impl Settled<$setting> for $setting {
            fn settled(self) -> $setting {
                self
            }
        }
    )*};
}

settled!(Timeouts, RetryBudget, BreakerPolicy, Bulkhead, Fallback);

/// A client before it is built. It does not compile before everything has been said about the dependency: how long it may
/// take, how often calls are tried again, when it is left alone, how many calls may be under way, and what is done without
/// it. See [`Clients::client`].
#[derive(Debug)]
#[must_use = "a client is made by `build()`"]
pub struct ClientBuilder<T = NoTimeout, R = NoRetryBudget, B = NoBreaker, K = NoBulkhead, F = NoFallback> {
    basics: Basics,
    timeouts: T,
    retries: R,
    breaker: B,
    bulkhead: K,
    fallback: F,
}

/// What needs no decision.
#[derive(Debug)]
struct Basics {
    clients: Clients,
    name: String,
    base: Uri,
    sla: Option<Duration>,
    /// Instead of HTTP.
    transport: Option<Transport>,
}

/// Why a client was not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is one of this name already: it would have another budget and another breaker for the same dependency.
    #[error("there is a client `{0}` already: use that, or choose another name")]
    Twice(String),
    /// Where the dependency is cannot be understood.
    #[error(
        "`{base}` is not where a dependency can be: write `http://host:port` or `https://host`, and perhaps a path"
    )]
    Base {
        /// What was given.
        base: String,
    },
    /// The transport could not be made.
    #[error("the transport could not be made: {0}")]
    Transport(String),
}

impl ClientBuilder {
    pub(super) fn new(clients: Clients, name: String, base: Uri) -> Self {
        Self {
            basics: Basics { clients, name, base, sla: None, transport: None },
            timeouts: NoTimeout,
            retries: NoRetryBudget,
            breaker: NoBreaker,
            bulkhead: NoBulkhead,
            fallback: NoFallback,
        }
    }
}

impl<T, R, B, K, F> ClientBuilder<T, R, B, K, F> {
    /// How long an attempt, and a call as a whole, may take.
    pub fn timeout(self, timeouts: impl Into<Timeouts>) -> ClientBuilder<Timeouts, R, B, K, F> {
        let Self { basics, retries, breaker, bulkhead, fallback, .. } = self;
        ClientBuilder { basics, timeouts: timeouts.into(), retries, breaker, bulkhead, fallback }
    }

    /// How often failed calls are tried again.
    pub fn retry_budget(self, budget: RetryBudget) -> ClientBuilder<T, RetryBudget, B, K, F> {
        let Self { basics, timeouts, breaker, bulkhead, fallback, .. } = self;
        ClientBuilder { basics, timeouts, retries: budget, breaker, bulkhead, fallback }
    }

    /// When the dependency is left alone for a while.
    pub fn breaker(self, policy: BreakerPolicy) -> ClientBuilder<T, R, BreakerPolicy, K, F> {
        let Self { basics, timeouts, retries, bulkhead, fallback, .. } = self;
        ClientBuilder { basics, timeouts, retries, breaker: policy, bulkhead, fallback }
    }

    /// How many calls may be under way at the same time.
    pub fn bulkhead(self, bulkhead: Bulkhead) -> ClientBuilder<T, R, B, Bulkhead, F> {
        let Self { basics, timeouts, retries, breaker, fallback, .. } = self;
        ClientBuilder { basics, timeouts, retries, breaker, bulkhead, fallback }
    }

    /// What is answered when the dependency does not: whatever the reason, an open breaker, a time-out, a full bulkhead, a
    /// spent budget, a failure. `None`: nothing, and the caller gets the error. The answer is marked as degraded.
    pub fn fallback<Answering: Future<Output = Option<Answer>> + Send + 'static>(
        self,
        answer: impl Fn(Missed) -> Answering + Send + Sync + 'static,
    ) -> ClientBuilder<T, R, B, K, Fallback> {
        let Self { basics, timeouts, retries, breaker, bulkhead, .. } = self;
        ClientBuilder { basics, timeouts, retries, breaker, bulkhead, fallback: Fallback::new(answer) }
    }

    /// There is no answer without the dependency, for this reason: it stands in documents.
    pub fn no_fallback(self, reason: impl Into<String>) -> ClientBuilder<T, R, B, K, Fallback> {
        let Self { basics, timeouts, retries, breaker, bulkhead, .. } = self;
        ClientBuilder {
            basics,
            timeouts,
            retries,
            breaker,
            bulkhead,
            fallback: Fallback(FallbackKind::None(reason.into())),
        }
    }

    /// Within which time the dependency promises to answer, 99 of 100 times. It changes nothing of the calls; an
    /// [`Architecture`](crate::architecture::Architecture) refuses to wait for anybody who does not promise 100 ms.
    pub fn sla(self, sla: Duration) -> Self {
        let basics = Basics { sla: Some(sla), ..self.basics };
        Self { basics, ..self }
    }

    /// Carries calls in another way than by HTTP: for tests.
    pub fn transport<S>(self, service: S) -> Self
    where
        S: Service<Request<Bytes>, Response = Response<Bytes>, Error = CallError> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let basics = Basics { transport: Some(BoxCloneSyncService::new(service)), ..self.basics };
        Self { basics, ..self }
    }

    /// The client, entered under its name.
    ///
    /// # Errors
    /// [`BuildError`] says what is in the way.
    pub fn build(self) -> Result<OutboundClient, BuildError>
    where
        T: Settled<Timeouts>,
        R: Settled<RetryBudget>,
        B: Settled<BreakerPolicy>,
        K: Settled<Bulkhead>,
        F: Settled<Fallback>,
    {
        let Self { basics, timeouts, retries, breaker, bulkhead, fallback } = self;
        let Basics { clients, name, base, sla, transport: given } = basics;
        if !matches!(base.scheme_str(), Some("http" | "https")) || base.query().is_some() {
            return Err(BuildError::Base { base: base.to_string() });
        }
        let (timeouts, retries, policy) = (timeouts.settled(), retries.settled(), breaker.settled());
        let (bulkhead, fallback) = (bulkhead.settled(), fallback.settled());
        let transport = match given {
            Some(transport) => transport,
            None => transport().map_err(|error| BuildError::Transport(error.to_string()))?,
        };
        let breaker = Breaker::new(&name, policy);
        let env = Arc::clone(clients.env());
        let of_layer = {
            let name = name.clone();
            move |error| CallError::of_layer(error, &name)
        };
        let stack = ServiceBuilder::new()
            .layer(BreakerLayer::new(breaker.clone(), outcome))
            .map_err(of_layer)
            .load_shed()
            .concurrency_limit(bulkhead.calls_max)
            .service(Attempts { transport, timeout: timeouts.attempt, env });
        let budget = Arc::new(retries.open());
        let stack = BoxCloneSyncService::new(stack);
        let parts = Parts { name, base, sla, timeouts, retries, policy, bulkhead, fallback, budget, breaker, stack };
        clients.enter(parts)
    }
}
