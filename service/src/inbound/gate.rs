//! What every request passes before it reaches a handler.

use std::{num::NonZeroU32, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::Router,
};
use futures_util::FutureExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use http::{StatusCode, header};
use http_body_util::Limited;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{InboundOptions, key::InFlight};
use crate::{
    limits::{PROBLEM_DETAIL_BYTES_MAX, RETRY_AFTER},
    problem::Problem,
    request::RequestContext,
    telemetry::seconds,
};

/// The bounds of what is let in, and what is counted of it.
#[derive(Debug)]
pub(crate) struct Gate {
    options: InboundOptions,
    places: Semaphore,
    rate: Option<DefaultDirectRateLimiter>,
    in_flight: InFlight,
    answers: Family<AnswerLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct AnswerLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
}

impl Gate {
    pub(crate) fn new(options: InboundOptions, metrics: &mut Registry) -> Arc<Self> {
        let places = Semaphore::new(options.concurrent_max.clamp(1, Semaphore::MAX_PERMITS));
        let rate = NonZeroU32::new(options.per_second_max).map(|rate| RateLimiter::direct(Quota::per_second(rate)));
        let answers = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(seconds())) as fn() -> Histogram);
        metrics.register("annalist_request", "Requests by route and status", answers.clone());
        metrics.register("annalist_request_seconds", "How long answers took, by route", Clone::clone(&durations));
        Arc::new(Self { options, places, rate, in_flight: InFlight::default(), answers, durations })
    }

    /// Puts it around all routes. From the outside in: it is measured, what goes wrong becomes a problem, the deadline, places
    /// for requests at the same time, the rate, the size of the body, keys in flight.
    pub(crate) fn around(self: &Arc<Self>, routes: Router) -> Router {
        let state = || Arc::clone(self);
        routes
            .layer(DefaultBodyLimit::max(self.options.body_bytes_max))
            .layer(from_fn_with_state(state(), keyed))
            .layer(from_fn_with_state(state(), of_a_size))
            .layer(from_fn_with_state(state(), at_a_rate))
            .layer(from_fn_with_state(state(), in_a_place))
            .layer(axum::middleware::from_fn(within_the_deadline))
            .layer(axum::middleware::from_fn(with_problems))
            .layer(from_fn_with_state(state(), measured))
    }
}

async fn measured(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // Whatever clients ask for must not become labels.
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS") => known,
        _ => "other",
    };
    let (method, begun) = (method.to_owned(), Instant::now());
    let response = next.run(request).await;
    let (took, status) = (begun.elapsed(), response.status().as_u16());
    gate.durations
        .get_or_create(&RouteLabels { method: method.clone(), route: route.clone() })
        .observe(took.as_secs_f64());
    tracing::info!(method, route, status, took_ms = took.as_secs_f64() * 1e3, "answered");
    gate.answers.get_or_create(&AnswerLabels { method, route, status }).inc();
    response
}

/// Panics and plain errors become problems.
async fn with_problems(request: Request, next: Next) -> Response {
    // Nothing that was in use is looked at again.
    let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await else {
        tracing::error!("a handler panicked");
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            .kind("internal", "Something went wrong inside")
            .into_response();
    };
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_none_or(|kind| kind.starts_with("text/plain")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let detail = to_bytes(body, PROBLEM_DETAIL_BYTES_MAX).await.unwrap_or_default();
    let mut problem = Problem::new(status);
    if !detail.is_empty() {
        problem = problem.detail(String::from_utf8_lossy(&detail));
    }
    let mut response = problem.into_response();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    response.headers_mut().extend(parts.headers);
    response
}

async fn within_the_deadline(request: Request, next: Next) -> Response {
    let Some(deadline) = RequestContext::current().and_then(|cx| cx.deadline()) else { return next.run(request).await };
    timeout_at(deadline, next.run(request)).await.unwrap_or_else(|_elapsed| {
        let problem = Problem::new(StatusCode::GATEWAY_TIMEOUT).kind("timed-out", "There was not enough time");
        problem.detail("it may have been done; with an Idempotency-Key it is safe to ask again").into_response()
    })
}

async fn in_a_place(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let Ok(_place) = gate.places.try_acquire() else {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE).kind("overloaded", "Too much to do at present");
        return problem.retry_after(RETRY_AFTER).into_response();
    };
    next.run(request).await
}

async fn at_a_rate(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    if let Some(rate) = &gate.rate
        && let Err(until) = rate.check()
    {
        let wait = until.wait_time_from(rate.clock().now());
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS).kind("too-many-requests", "Too many requests");
        return problem.retry_after(wait.max(Duration::from_secs(1))).into_response();
    }
    next.run(request).await
}

async fn of_a_size(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let bytes_max = gate.options.body_bytes_max;
    let said =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|bytes| usize::try_from(bytes).map_or(true, |bytes| bytes > bytes_max)) {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE).kind("too-large", "The body is too large");
        return problem.with("bytes_max", bytes_max).into_response();
    }
    // It may lie, or say nothing.
    next.run(request.map(|body| Body::new(Limited::new(body, bytes_max)))).await
}

async fn keyed(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match gate.in_flight.enter(&parts) {
        Ok(_entered) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}
