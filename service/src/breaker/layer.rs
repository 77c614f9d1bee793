//! A breaker around any service.

use std::{
    fmt,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use super::{Breaker, BreakerOpen, Outcome};

/// Puts a [`Breaker`] around a service. `classify` says what an answer or an error means: an answer that says "no" is a
/// success of the dependency, an error of the caller's own says nothing.
#[derive(Clone)]
pub struct BreakerLayer<C> {
    breaker: Breaker,
    classify: C,
}

impl<C> BreakerLayer<C> {
    /// A layer for this breaker.
    pub const fn new(breaker: Breaker, classify: C) -> Self {
        Self { breaker, classify }
    }
}

impl<C> fmt::Debug for BreakerLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl<S, C: Clone> Layer<S> for BreakerLayer<C> {
    type Service = Guarded<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, layer: self.clone() }
    }
}

/// What [`BreakerLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct Guarded<S, C> {
    inner: S,
    layer: BreakerLayer<C>,
}

impl<S, C, R> Service<R> for Guarded<S, C>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Error: From<BreakerOpen> + Send + 'static,
    S::Response: Send + 'static,
    C: Fn(&Result<S::Response, S::Error>) -> Outcome + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let permit = match self.layer.breaker.admit() {
            Ok(permit) => permit,
            Err(open) => return Box::pin(std::future::ready(Err(open.into()))),
        };
        let (answer, classify) = (self.inner.call(request), self.layer.classify.clone());
        Box::pin(async move {
            let answer = answer.await;
            permit.record(classify(&answer));
            answer
        })
    }
}
