//! One request through two services: every hop knows it.

use std::time::Duration;

use annalist::{App, Metadata, Read, RecordedEvent};
use annalist_service::{
    BreakerPolicy, Problem, Service,
    outbound::{Bulkhead, Clients, OutboundClient, RetryBudget},
    request::{CORRELATION_ID, RequestContext},
};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};

use super::account::{Account, Post, http, routes, started, wiring};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn events(app: &App) -> Vec<RecordedEvent> {
    let mut read = app.store().events().read(Read::all(annalist::Position::ZERO)).await.unwrap();
    read.next().await.unwrap()
}

/// Records something itself, then asks the other service to.
fn forwarding(other: OutboundClient) -> impl FnOnce(App) -> Router {
    move |app| {
        let handler = move || {
            let (app, other) = (app.clone(), other.clone());
            async move {
                app.on::<Account>("here".to_owned()).execute(Post { cents: 1 }).await?;
                let answer = other.post("/accounts/there").json(&json!({ "cents": 2 })).send().await?;
                let request_id = RequestContext::current().map(|cx| cx.request_id().to_string());
                Ok::<_, Problem>(Json(json!({ "request_id": request_id, "status": answer.status().as_u16() })))
            }
        };
        Router::new().route("/", post(handler))
    }
}

#[tokio::test]
async fn a_request_can_be_followed_through_commands_and_calls() {
    let second = started(Service::new("second", wiring()).routes(routes)).await;
    let clients = Clients::default();
    let other = clients.client("second", &format!("http://{}", second.addr())).unwrap();
    let other = other.timeout(Duration::from_secs(5)).retry_budget(RetryBudget::none());
    let other = other.breaker(BreakerPolicy::default()).bulkhead(Bulkhead::new(8)).no_fallback("a test");
    let forward = forwarding(other.build().unwrap());
    let first = started(Service::new("first", wiring()).routes(forward).clients(&clients)).await;

    let request = http().post(format!("http://{}/", first.addr())).header(CORRELATION_ID, "order-7");
    let answer = request.header("traceparent", PARENT).send().await.unwrap();
    assert_eq!(answer.headers()[CORRELATION_ID], "order-7");
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["status"], 200);

    let (here, there) =
        (events(first.app()).await.remove(0).metadata(), events(second.app()).await.remove(0).metadata());
    for Metadata { correlation_id, traceparent, .. } in [&here, &there] {
        assert_eq!(correlation_id.as_deref(), Some("order-7"));
        assert!(traceparent.as_ref().unwrap().contains("0af7651916cd43dd8448eb211c80319c"), "{traceparent:?}");
    }
    assert_ne!(here.traceparent, there.traceparent);
    // What happened there was caused by the request here.
    assert_eq!(there.causation_id.as_deref(), answer["request_id"].as_str());

    // Errors bear the id too; what is not well-formed is not passed on.
    let missing = http().get(format!("http://{}/nothing", first.addr())).header(CORRELATION_ID, "no/good");
    let missing = missing.send().await.unwrap();
    assert_eq!(missing.status(), 404);
    assert!(uuid::Uuid::parse_str(missing.headers()[CORRELATION_ID].to_str().unwrap()).is_ok());
}
