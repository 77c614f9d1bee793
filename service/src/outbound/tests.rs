use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::http::{HeaderMap, Request, Response, StatusCode, header};
use annalist::SystemEnv;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::*;
use crate::{
    breaker::{BreakerPolicy, BreakerState},
    request::{CAUSATION_ID, CORRELATION_ID, REQUEST_TIMEOUT, RequestContext, TRACEPARENT},
};

const SECOND: Duration = Duration::from_secs(1);

/// A dependency that does what it is told.
#[derive(Clone, Default)]
struct Dependency(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// What it does next, one call after the other; afterwards it answers 200.
    next: VecDeque<Act>,
    /// When it was called, and with which headers.
    calls: Vec<(Instant, HeaderMap)>,
}

#[derive(Clone)]
enum Act {
    Status(u16),
    RetryAfter(&'static str),
    Hang(Duration),
    Refuse,
}

impl Dependency {
    fn does(acts: impl IntoIterator<Item = Act>) -> Self {
        let dependency = Self::default();
        dependency.0.lock().unwrap().next.extend(acts);
        dependency
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }

    fn answer(&self, request: &Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, CallError>> {
        let mut told = self.0.lock().unwrap();
        told.calls.push((Instant::now(), request.headers().clone()));
        let act = told.next.pop_front().unwrap_or(Act::Status(200));
        Box::pin(async move {
            let mut response = Response::new(Bytes::from_static(b"{}"));
            match act {
                Act::Status(status) => *response.status_mut() = StatusCode::from_u16(status).unwrap(),
                Act::RetryAfter(after) => {
                    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                    response.headers_mut().insert(header::RETRY_AFTER, after.parse().unwrap());
                }
                Act::Hang(time) => sleep(time).await,
                Act::Refuse => return Err(CallError::Unreachable(Arc::new(std::io::Error::other("refused")))),
            }
            Ok(response)
        })
    }
}

type Open = ClientBuilder<Timeouts, RetryBudget, BreakerPolicy, Bulkhead, Fallback>;

/// A client of it that tries three times, each for a second, and whose breaker is out of the way.
fn client_of(dependency: &Dependency) -> Open {
    let dependency = dependency.clone();
    let transport = service_fn(move |request| dependency.answer(&request));
    let builder = Clients::default().client("provider", "http://provider/api/").unwrap().transport(transport);
    let builder = builder.timeout(Timeouts::per_attempt(SECOND).total(SECOND * 10));
    let builder = builder.retry_budget(RetryBudget::default()).breaker(BreakerPolicy::consecutive(1_000));
    builder.bulkhead(Bulkhead::new(1_000)).no_fallback("it is a test")
}

fn failing(times: usize) -> Dependency {
    Dependency::does(std::iter::repeat_n(Act::Status(503), times))
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_repeated_is_tried_again() {
    let dependency = failing(2);
    let client = client_of(&dependency).build().unwrap();
    assert_eq!(client.get("/rates").send().await.unwrap().status(), 200);
    assert_eq!(dependency.calls(), 3);

    let dependency = failing(2);
    let client = client_of(&dependency).build().unwrap();
    let failed = client.post("/charges").json(&json!({ "cents": 5 })).send().await;
    assert!(matches!(&failed, Err(CallError::Failed(answer)) if answer.status() == 503), "{failed:?}");
    assert_eq!(dependency.calls(), 1);
    assert_eq!(client.post("/charges").idempotency_key("1").send().await.unwrap().status(), 200);
    assert_eq!(dependency.calls(), 3);

    // A failure that does not pass, a "no", and the third failure in a row.
    for (acts, calls) in [(vec![Act::Status(500)], 1), (vec![Act::Status(404)], 1), (vec![Act::Refuse; 3], 3)] {
        let dependency = Dependency::does(acts);
        let client = client_of(&dependency).build().unwrap();
        _ = client.get("/rates").send().await;
        assert_eq!(dependency.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_asks_for_patience_gets_it() {
    let dependency = Dependency::does([Act::RetryAfter("3")]);
    let client = client_of(&dependency).build().unwrap();
    let begun = Instant::now();
    assert_eq!(client.get("/").send().await.unwrap().status(), 200);
    assert!(begun.elapsed() >= 3 * SECOND);
    // Also by a date; one that has passed asks for nothing.
    let dependency = Dependency::does([Act::RetryAfter("Fri, 01 Jan 2021 00:00:00 GMT")]);
    assert_eq!(client_of(&dependency).build().unwrap().get("/").send().await.unwrap().status(), 200);
    // More than there is time for: the failure is the answer, at once.
    let dependency = Dependency::does([Act::RetryAfter("60")]);
    let begun = Instant::now();
    let failed = client_of(&dependency).build().unwrap().get("/").send().await;
    assert!(matches!(failed, Err(CallError::Failed(_))), "{failed:?}");
    assert!(begun.elapsed() < SECOND);
    assert_eq!(dependency.calls(), 1);
}

/// A dependency that fails all the time is not buried under retries: a fifth more calls, and ten a second.
#[tokio::test(start_paused = true)]
async fn retries_are_a_part_of_the_calls() {
    let dependency = failing(1_000_000);
    let client = client_of(&dependency).build().unwrap();
    client.breaker().force_closed();
    let (begun, mut calls, mut spent) = (Instant::now(), 0, 0);
    while begun.elapsed() < SECOND * 20 {
        let answers = join_all((0..20).map(|_| client.get("/").send())).await;
        calls += answers.len();
        spent += answers.iter().filter(|answer| matches!(answer, Err(CallError::BudgetSpent(_)))).count();
        sleep(Duration::from_millis(100)).await;
    }
    let retries = dependency.calls() - calls;
    // So much in any ten seconds, and one more time at the beginning.
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let allowed = (calls / 5 + 10 * seconds) * (seconds + 10) / seconds;
    assert!(retries <= allowed, "{retries} retries of {calls} calls, {allowed} allowed");
    assert!(retries >= calls / 10 && spent > calls / 4, "{retries} retries, {spent} of {calls} without");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_and_a_call_have_an_end() {
    let hanging = || Dependency::does([Act::Hang(SECOND * 60), Act::Hang(SECOND * 60), Act::Hang(SECOND * 60)]);
    let dependency = hanging();
    let client = client_of(&dependency).retry_budget(RetryBudget::none()).build().unwrap();
    let begun = Instant::now();
    let failed = client.get("/").send().await;
    assert!(matches!(failed, Err(CallError::TimedOut { after: SECOND })), "{failed:?}");
    assert_eq!((begun.elapsed(), client.breaker().counts().failed), (SECOND, 1));

    // The request that it is part of has less time: that is not the dependency's fault.
    let cx = RequestContext::begin(&SystemEnv).until(Instant::now() + SECOND / 4);
    let dependency = hanging();
    let client = client_of(&dependency).build().unwrap();
    let begun = Instant::now();
    let failed = cx.clone().scope(client.get("/").send()).await;
    assert!(matches!(failed, Err(CallError::DeadlineExceeded)), "{failed:?}");
    assert_eq!((begun.elapsed(), client.breaker().counts().failed), (SECOND / 4, 0));
    // And when there is none left, nobody is called.
    assert!(matches!(cx.scope(client.get("/").send()).await, Err(CallError::DeadlineExceeded)));
    assert_eq!(dependency.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_what_it_belongs_to_and_how_long_it_has() {
    let dependency = Dependency::does([Act::Hang(SECOND * 60)]);
    let client = client_of(&dependency).build().unwrap();
    let cx = RequestContext::begin(&SystemEnv).until(Instant::now() + SECOND + SECOND / 2);
    cx.clone().scope(client.get("/").header(header::ACCEPT, "text/plain").send()).await.unwrap();
    let calls = dependency.0.lock().unwrap().calls.clone();
    let of = |index: usize, name: &::http::HeaderName| calls[index].1[name].to_str().unwrap().to_owned();
    for index in [0, 1] {
        assert_eq!(of(index, &CORRELATION_ID), cx.correlation_id().as_str());
        assert_eq!(of(index, &CAUSATION_ID), cx.request_id().to_string());
        assert!(of(index, &TRACEPARENT).contains(&cx.trace().trace_id()));
        assert_eq!(of(index, &header::ACCEPT), "text/plain");
    }
    assert_ne!(of(0, &TRACEPARENT), of(1, &TRACEPARENT));
    assert_eq!(of(0, &REQUEST_TIMEOUT), "990");
    assert!(of(1, &REQUEST_TIMEOUT).parse::<u64>().unwrap() < 490);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_keeps_calls_to_itself() {
    let dependency = Dependency::does(vec![Act::Refuse; 5]);
    let client = client_of(&dependency).breaker(BreakerPolicy::default()).build().unwrap();
    for _ in 0..5 {
        _ = client.post("/").send().await;
    }
    assert_eq!(client.breaker().state(), BreakerState::Open);
    let refused = client.get("/").send().await;
    assert!(matches!(&refused, Err(CallError::Open(open)) if open.retry_after == SECOND * 30), "{refused:?}");
    assert_eq!(dependency.calls(), 5);
    sleep(SECOND * 30).await;
    for _ in 0..3 {
        client.get("/").send().await.unwrap();
    }
    assert_eq!(client.breaker().state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_turns_away_at_once() {
    let dependency = Dependency::does([Act::Hang(SECOND / 2), Act::Hang(SECOND / 2)]);
    let client = client_of(&dependency).bulkhead(Bulkhead::new(2)).build().unwrap();
    let begun = Instant::now();
    let answers = join_all((0..3).map(|_| async { (client.get("/").send().await, begun.elapsed()) })).await;
    let full: Vec<_> = answers.iter().filter(|(answer, _)| matches!(answer, Err(CallError::Full { .. }))).collect();
    assert_eq!((full.len(), full[0].1), (1, Duration::ZERO));
    assert_eq!(dependency.calls(), 2);
    client.get("/").send().await.unwrap();
    assert_eq!(client.breaker().counts().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_answers_whatever_is_missing() {
    for (acts, kind) in [
        (vec![Act::Status(500)], "failed"),
        (vec![Act::Refuse], "unreachable"),
        (vec![Act::Hang(SECOND * 5)], "timed-out"),
        (vec![Act::Status(503)], "budget-spent"),
    ] {
        let dependency = Dependency::does(acts);
        let budget = if kind == "budget-spent" { RetryBudget::default().percent(0, 0) } else { RetryBudget::none() };
        let builder = client_of(&dependency).retry_budget(budget);
        let builder = builder.fallback(async |missed: Missed| Answer::json(&json!(missed.uri.path())).ok());
        let client = builder.build().unwrap();
        let cx = RequestContext::begin(&SystemEnv);
        let answer = cx.scope(client.get("/rates").send()).await.unwrap();
        assert_eq!(answer.degraded().map(CallError::kind), Some(kind));
        assert_eq!(answer.read::<String>().unwrap(), "/api/rates");
        // The next is answered by the dependency itself.
        assert!(client.get("/rates").send().await.unwrap().degraded().is_none());
    }
    // Nor is it silent about a full bulkhead or an open breaker; and it may have nothing to say.
    let dependency = Dependency::does([Act::Status(500), Act::Hang(SECOND / 2)]);
    let builder = client_of(&dependency).breaker(BreakerPolicy::consecutive(1)).bulkhead(Bulkhead::new(1));
    let speechless = |missed: Missed| async move {
        matches!(*missed.why, CallError::Open(_) | CallError::Full { .. }).then(|| Answer::status_only(StatusCode::OK))
    };
    let client = builder.fallback(speechless).build().unwrap();
    assert!(matches!(client.get("/").send().await, Err(CallError::Failed(_))));
    assert_eq!(client.get("/").send().await.unwrap().degraded().map(CallError::kind), Some("open"));
    client.breaker().force_closed();
    let (first, second) = tokio::join!(client.get("/").send(), client.get("/").send());
    let degraded = |answer: Result<Answer, CallError>| answer.unwrap().degraded().map(CallError::kind);
    assert_eq!((degraded(first), degraded(second)), (None, Some("full")));
}

#[tokio::test]
async fn clients_are_known_by_name_and_say_what_was_settled() {
    let clients = Clients::default();
    let build = |name: &str, base: &str| {
        let builder = clients.client(name, base)?.timeout(SECOND).retry_budget(RetryBudget::default());
        let builder = builder.breaker(BreakerPolicy::default()).bulkhead(Bulkhead::new(8));
        builder.no_fallback("money is not guessed").build()
    };
    let client = build("provider", "http://localhost:1").unwrap();
    assert_eq!(build("provider", "http://localhost:2").unwrap_err(), BuildError::Twice("provider".to_owned()));
    for base in ["localhost:1", "/path", "ftp://host", "http://host?query", ""] {
        assert!(matches!(build("other", base), Err(BuildError::Base { .. })), "{base}");
    }
    let described = serde_json::to_value(clients.describe()).unwrap();
    assert_eq!(described[0]["name"], "provider");
    assert_eq!(described[0]["timeouts"]["total"], json!({ "secs": 3, "nanos": 0 }));
    assert_eq!(described[0]["no_fallback"], "money is not guessed");
    clients.named("provider").unwrap().breaker().force_open();
    assert_eq!(client.breaker().state(), BreakerState::ForcedOpen);
    assert_eq!(clients.status()[0].breaker, BreakerState::ForcedOpen);
    assert!(clients.named("other").is_none());
    let invalid = client.get("/a b").send().await;
    assert!(matches!(invalid, Err(CallError::Invalid(_))), "{invalid:?}");
    let invalid = client.get("/").header(header::ACCEPT, "a\nb").send().await;
    assert!(matches!(invalid, Err(CallError::Invalid(_))), "{invalid:?}");
}
