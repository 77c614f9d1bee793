use std::{convert::Infallible, sync::Arc, time::Duration};

use annalist::{Metadata, SystemEnv, TestEnv};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

use super::*;

mod traces;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers<const N: usize>(pairs: [(HeaderName, &str); N]) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_str(value).unwrap())).collect()
}

fn of<const N: usize>(pairs: [(HeaderName, &str); N]) -> RequestContext {
    RequestContext::of_headers(&headers(pairs), &TestEnv::default())
}

proptest! {
    #[test]
    fn a_correlation_id_is_taken_exactly_when_it_is_well_formed(text in "[A-Za-z0-9._-]{0,140}|.{0,20}|[ -~]{1,40}") {
        let well_formed = (1..=128).contains(&text.len())
            && text.chars().all(|char| char.is_ascii_alphanumeric() || ".-_".contains(char));
        prop_assert_eq!(CorrelationId::parse(&text).map(|id| id.to_string()), well_formed.then_some(text));
    }

    #[test]
    fn no_text_makes_a_trace_panic(text in ".{0,80}", state in ".{0,20}") {
        if let Some(trace) = TraceContext::parse(&text, Some(&state)) {
            prop_assert_eq!(TraceContext::parse(&trace.to_string(), trace.state()), Some(trace));
        }
    }

    #[test]
    fn traces_come_back(trace: u128, span: u64, flags in 0..4u8) {
        let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        let expected = (trace != 0 && span != 0).then(|| text.clone());
        prop_assert_eq!(TraceContext::parse(&text, None).map(|trace| trace.to_string()), expected);
    }
}

#[test]
fn malformed_traces_are_not_taken() {
    let long = format!("{PARENT}-extra");
    for bad in [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        &long,
    ] {
        assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
    }
    // A later version may say more.
    let later = long.replacen("00", "01", 1);
    assert_eq!(TraceContext::parse(&later, None).unwrap().to_string(), PARENT);
    let state = |state| TraceContext::parse(PARENT, Some(state)).unwrap().state().map(str::to_owned);
    assert_eq!(state("a=1,b=2"), Some("a=1,b=2".to_owned()));
    assert_eq!((state(""), state("a=\n"), state(&"x".repeat(513))), (None, None, None));
}

#[test]
fn a_request_continues_what_its_caller_began() {
    let cx = of([(CORRELATION_ID, "order-7"), (CAUSATION_ID, "event-3"), (TRACEPARENT, PARENT), (TRACESTATE, "a=1")]);
    assert_eq!((cx.correlation_id().as_str(), cx.cause()), ("order-7", Some("event-3")));
    assert_eq!(cx.trace().trace_id(), "0af7651916cd43dd8448eb211c80319c");
    assert_ne!(cx.trace().span_id(), "b7ad6b7169203331");
    let Metadata { correlation_id, causation_id, traceparent, tracestate, .. } = cx.circumstances().metadata;
    assert_eq!((correlation_id.as_deref(), causation_id.as_deref()), (Some("order-7"), Some("event-3")));
    assert_eq!((traceparent, tracestate.as_deref()), (Some(cx.trace().to_string()), Some("a=1")));
}

#[test]
fn what_is_not_well_formed_is_made_anew() {
    let cx = of([
        (CORRELATION_ID, "two words"),
        (CAUSATION_ID, "a/b"),
        (TRACEPARENT, "x"),
        (TRACESTATE, "a=1"),
        (REQUEST_TIMEOUT, "-1"),
    ]);
    assert!(uuid::Uuid::parse_str(cx.correlation_id().as_str()).is_ok());
    assert_eq!((cx.cause(), cx.deadline(), cx.trace().state()), (None, None, None));
    assert_eq!(RequestContext::begin(&SystemEnv).request_id().get_version_num(), 7);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_shrinks_hop_by_hop() {
    let env = TestEnv::default();
    let ours = Instant::now() + Duration::from_secs(10);
    let cx = of([(REQUEST_TIMEOUT, "300")]).until(ours);
    let deadline = cx.deadline().unwrap();
    assert_eq!(deadline - Instant::now(), Duration::from_millis(300));
    // Who waits longer than we do is answered when we say.
    assert_eq!(of([(REQUEST_TIMEOUT, "60000")]).until(ours).deadline(), Some(ours));
    tokio::time::advance(Duration::from_millis(100)).await;
    let mut outgoing = HeaderMap::new();
    cx.write(&mut outgoing, deadline, &env);
    let next = RequestContext::of_headers(&outgoing, &env);
    assert!(next.deadline().unwrap() < deadline);
    assert_eq!(outgoing[&REQUEST_TIMEOUT], "190");
    assert_eq!((next.correlation_id(), next.cause()), (cx.correlation_id(), Some(&*cx.request_id().to_string())));
    assert_eq!(next.trace().trace_id(), cx.trace().trace_id());
}

#[test]
fn work_on_an_event_continues_its_conversation() {
    let metadata = of([(CORRELATION_ID, "order-7"), (TRACEPARENT, PARENT)]).circumstances().metadata;
    let cx = RequestContext::continuing(&metadata, "event-9", &SystemEnv);
    assert_eq!((cx.correlation_id().as_str(), cx.cause()), ("order-7", Some("event-9")));
    assert_eq!(cx.trace().trace_id(), "0af7651916cd43dd8448eb211c80319c");
}

/// Many requests at once on few threads: none sees another's id, and each answer bears its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_never_leak_between_requests() {
    let inner = service_fn(async |request: Request<()>| {
        let asked = request.headers()[&CORRELATION_ID].clone();
        for _ in 0..4 {
            tokio::task::yield_now().await;
            assert_eq!(RequestContext::current().unwrap().correlation_id().as_str(), asked);
        }
        Ok::<_, Infallible>(Response::new(()))
    });
    let service = RequestLayer::new(Arc::new(SystemEnv), Duration::from_secs(5)).layer(inner);
    let requests = (0..2_000).map(|number| {
        let id = format!("request-{number}");
        let request = Request::builder().header(CORRELATION_ID, &id).body(()).unwrap();
        let answer = service.clone().oneshot(request);
        tokio::spawn(async move { assert_eq!(answer.await.unwrap().headers()[&CORRELATION_ID], id) })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.unwrap();
    }
    assert!(RequestContext::current().is_none());
}
