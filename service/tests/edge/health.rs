//! What probes are told.

use std::time::Duration;

use annalist::outbox::{MemoryPublisher, Outbox};
use annalist_service::{
    BreakerPolicy, Running, Service, ShutdownOptions,
    outbound::{Bulkhead, Clients, RetryBudget},
};
use serde_json::Value;

use super::account::{Account, Post, get, public, routes, soon, started, wiring};

/// Asks until the answer is as it should be; the runner ends a test that waits for ever.
async fn until(running: &Running, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
    loop {
        let (status, body) = get(running, path).await;
        if wanted(status, &body) {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn condition(body: &Value, kind: &str) -> String {
    let parts = body["parts"].as_array().unwrap();
    parts.iter().find(|part| part["kind"] == kind).unwrap()["condition"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_service_is_well_and_says_of_what_it_consists() {
    let running = started(Service::new("accounts", wiring()).routes(routes)).await;
    let body = until(&running, "/health/startup", |status, _| status == 200).await;
    assert_eq!((condition(&body, "store").as_str(), condition(&body, "projection").as_str()), ("up", "up"));
    for probe in ["/health", "/health/live", "/health/ready", "/health/startup"] {
        assert_eq!(get(&running, probe).await.0, 200, "{probe}");
    }
}

#[tokio::test]
async fn without_broker_or_dependency_it_is_degraded_and_ready() {
    let broker = MemoryPublisher::new();
    broker.go_down();
    let clients = Clients::default();
    let rates = clients.client("rates", "http://localhost:1").unwrap().timeout(Duration::from_secs(1));
    let rates = rates.retry_budget(RetryBudget::none()).breaker(BreakerPolicy::consecutive(1));
    let rates = rates.bulkhead(Bulkhead::new(1)).no_fallback("a test").build().unwrap();
    let app = wiring().outbox(Outbox::new(broker.clone()).map(public));
    let running = started(Service::new("accounts", app).routes(routes).clients(&clients).ending(soon())).await;
    rates.get("/").send().await.unwrap_err();
    running.app().on::<Account>("alice".to_owned()).execute(Post { cents: 5 }).await.unwrap();
    let body = until(&running, "/health/ready", |status, _| status == 200).await;
    assert_eq!((condition(&body, "outbox").as_str(), condition(&body, "client").as_str()), ("degraded", "degraded"));
    let metrics = super::account::http().get(format!("http://{}/metrics", running.addr())).send().await.unwrap();
    let text = String::from_utf8(metrics.bytes().await.unwrap().to_vec()).unwrap();
    for line in [
        "annalist_breaker_state{client=\"rates\",state=\"open\"} 1",
        "annalist_breaker_state{client=\"rates\",state=\"closed\"} 0",
        "annalist_breaker_total{client=\"rates\",what=\"opened\"} 1",
        "annalist_call_total{client=\"rates\",outcome=\"unreachable\"} 1",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is missing in {text}");
    }
    broker.come_up();
    until(&running, "/health", |_, body| condition(body, "outbox") == "up").await;
    assert_eq!(broker.messages().len(), 1);
}

#[tokio::test]
async fn a_view_that_goes_no_further_makes_it_unready_and_not_dead() {
    let running = started(Service::new("accounts", wiring()).routes(routes)).await;
    until(&running, "/health/ready", |status, _| status == 200).await;
    running.app().on::<Account>("alice".to_owned()).execute(Post { cents: 13 }).await.unwrap();
    let body = until(&running, "/health/ready", |status, _| status == 503).await;
    assert_eq!(condition(&body, "projection"), "down");
    assert_eq!(get(&running, "/health/live").await.0, 200);
    // It had started.
    assert_eq!(get(&running, "/health/startup").await.0, 200);
}

#[tokio::test]
async fn a_store_that_takes_no_more_makes_it_dead() {
    let running = started(Service::new("accounts", wiring()).routes(routes)).await;
    running.app().store().close().await.unwrap();
    assert_eq!(get(&running, "/health/live").await.0, 503);
    assert_eq!(get(&running, "/health/ready").await.0, 503);
}

#[tokio::test]
async fn a_service_that_ends_is_unready_first() {
    let mut ending = ShutdownOptions::default();
    ending.unready_pause = Duration::from_hours(1);
    let running = started(Service::new("accounts", wiring()).routes(routes).ending(ending)).await;
    let (addr, http) = (running.addr(), super::account::http());
    let shutdown = tokio::spawn(running.shutdown());
    loop {
        let answer = http.get(format!("http://{addr}/health/ready")).send().await.unwrap();
        if answer.status() == 503 {
            // Its client is asked to find another.
            assert_eq!(answer.headers()["connection"], "close");
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shutdown.abort();
}
