use std::{sync::Arc, time::Duration};

use annalist::SystemEnv;
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
    routing::{get, post},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt;

use super::*;
use crate::{
    problem::{PROBLEM_JSON, Problem},
    request::{IDEMPOTENCY_KEY, REQUEST_TIMEOUT, RequestLayer},
};

const HOUR: Duration = Duration::from_hours(1);

fn around(options: InboundOptions, routes: Router) -> Router {
    let layer = RequestLayer::new(Arc::new(SystemEnv), options.timeout);
    Gate::new(options, &mut Registry::default()).around(routes).layer(layer)
}

async fn asked(routes: &Router, request: Request<Body>) -> Response<Body> {
    routes.clone().oneshot(request).await.unwrap()
}

fn get_of(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// The status and the kind of a problem.
async fn problem(response: Response<Body>) -> (u16, String, Value) {
    assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap();
    assert_eq!(body["status"], status);
    (status, body["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned(), body)
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let routes = Router::new()
        .route("/panic", get(async || -> String { panic!("on purpose") }))
        .route("/plain", get(async || (StatusCode::IM_A_TEAPOT, "no coffee")))
        .route("/own", get(async || (StatusCode::BAD_REQUEST, Json(json!({ "my": "error" })))))
        .route("/json", post(async |Json(number): Json<u8>| Json(number)));
    let routes = around(InboundOptions::default(), routes);
    assert_eq!(problem(asked(&routes, get_of("/panic")).await).await.0, 500);
    assert_eq!(problem(asked(&routes, get_of("/nothing")).await).await.0, 404);
    let (status, _, body) = problem(asked(&routes, get_of("/plain")).await).await;
    assert_eq!((status, &body["detail"]), (418, &json!("no coffee")));
    assert_eq!(asked(&routes, get_of("/own")).await.headers()[header::CONTENT_TYPE], "application/json");
    let wrong = asked(&routes, get_of("/json")).await;
    assert_eq!(wrong.headers()[header::ALLOW], "POST");
    assert_eq!(problem(wrong).await.0, 405);
    let json =
        |body: &'static str| Request::post("/json").header(header::CONTENT_TYPE, "application/json").body(body.into());
    assert_eq!(problem(asked(&routes, json("x").unwrap()).await).await.0, 400);
    assert_eq!(asked(&routes, json("7").unwrap()).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_no_longer_than_its_caller_waits() {
    let routes = Router::new().route("/slow", get(async || tokio::time::sleep(HOUR).await));
    let routes = around(InboundOptions::default(), routes);
    let begun = tokio::time::Instant::now();
    let (status, kind, _) = problem(asked(&routes, get_of("/slow")).await).await;
    assert_eq!((status, kind.as_str(), begun.elapsed()), (504, "timed-out", InboundOptions::default().timeout));
    let begun = tokio::time::Instant::now();
    let request = Request::get("/slow").header(REQUEST_TIMEOUT, "250").body(Body::empty()).unwrap();
    assert_eq!(problem(asked(&routes, request).await).await.0, 504);
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
}

#[tokio::test]
async fn what_is_too_much_is_turned_away_at_once() {
    let (go, arrived) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let wait = {
        let (go, arrived) = (Arc::clone(&go), Arc::clone(&arrived));
        move || async move {
            arrived.notify_one();
            go.notified().await;
        }
    };
    let options = InboundOptions { concurrent_max: 1, ..InboundOptions::default() };
    let routes = around(options, Router::new().route("/", get(wait)));
    let first = tokio::spawn({
        let routes = routes.clone();
        async move { asked(&routes, get_of("/")).await.status() }
    });
    arrived.notified().await;
    let second = asked(&routes, get_of("/")).await;
    assert_eq!(second.headers()[header::RETRY_AFTER], "1");
    assert_eq!(problem(second).await.1, "overloaded");
    go.notify_one();
    assert_eq!(first.await.unwrap(), 200);

    let options = InboundOptions { per_second_max: 1, ..InboundOptions::default() };
    let routes = around(options, Router::new().route("/", get(async || "")));
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(asked(&routes, get_of("/")).await);
    }
    assert_eq!(all[0].status(), 200);
    let refused = all.into_iter().find(|response| response.status() == 429).unwrap();
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(problem(refused).await.1, "too-many-requests");
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let options = InboundOptions { body_bytes_max: 10, ..InboundOptions::default() };
    let routes = around(options, Router::new().route("/", post(async |body: String| body)));
    assert_eq!(asked(&routes, Request::post("/").body("x".repeat(10).into()).unwrap()).await.status(), 200);
    // One that says so, and one that does not.
    assert_eq!(problem(asked(&routes, Request::post("/").body("x".repeat(11).into()).unwrap()).await).await.0, 413);
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("123456"), Ok("789012")]);
    let unsaid = Request::post("/").body(Body::from_stream(chunks)).unwrap();
    assert_eq!(problem(asked(&routes, unsaid).await).await.0, 413);
    let said = Request::post("/").header(header::CONTENT_LENGTH, "11").body(Body::empty()).unwrap();
    assert_eq!(problem(asked(&routes, said).await).await.1, "too-large");
}

fn keyed(path: &str, key: &str) -> Request<Body> {
    Request::post(path).header(IDEMPOTENCY_KEY, key).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn keys_are_read_as_sent_or_refused() {
    let required = post(async |key: IdempotencyKey| key.as_str().to_owned());
    let optional = post(async |key: Option<IdempotencyKey>| format!("{key:?}"));
    let routes = Router::new().route("/", required).route("/optional", optional);
    let routes = around(InboundOptions::default(), routes);
    for (sent, read) in [("abc-1", "abc-1"), ("\"abc 1\"", "abc 1"), ("\"a\\\"b\\\\\"", "a\"b\\")] {
        let response = asked(&routes, keyed("/", sent)).await;
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), read);
    }
    let long = "x".repeat(256);
    for malformed in ["", "\"", "\"a", "\"a\"b\"", "\"a\\b\"", "a\tb", &long] {
        assert_eq!(problem(asked(&routes, keyed("/", malformed)).await).await.1, "key-malformed", "{malformed:?}");
    }
    let twice =
        Request::post("/").header(IDEMPOTENCY_KEY, "a").header(IDEMPOTENCY_KEY, "b").body(Body::empty()).unwrap();
    assert_eq!(problem(asked(&routes, twice).await).await.1, "key-malformed");
    let none = |path: &str| Request::post(path).body(Body::empty()).unwrap();
    assert_eq!(problem(asked(&routes, none("/")).await).await.1, "key-missing");
    assert_eq!(asked(&routes, none("/optional")).await.status(), 200);
}

#[tokio::test]
async fn the_same_request_is_answered_one_at_a_time() {
    let (go, arrived) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let wait = {
        let (go, arrived) = (Arc::clone(&go), Arc::clone(&arrived));
        post(move || async move {
            arrived.notify_one();
            go.notified().await;
        })
    };
    let routes = around(InboundOptions::default(), Router::new().route("/{id}", wait));
    let begin = |path: &'static str, key: &'static str| {
        let routes = routes.clone();
        tokio::spawn(async move { asked(&routes, keyed(path, key)).await.status() })
    };
    let first = begin("/a", "1");
    arrived.notified().await;
    let again = asked(&routes, keyed("/a", "\"1\"")).await;
    assert_eq!(again.headers()[header::RETRY_AFTER], "1");
    assert_eq!(problem(again).await.1, "in-flight");
    // Another key, or the same elsewhere, is another request.
    let others = [begin("/a", "2"), begin("/b", "1")];
    arrived.notified().await;
    arrived.notified().await;
    go.notify_waiters();
    for request in [first].into_iter().chain(others) {
        assert_eq!(request.await.unwrap(), 200);
    }
    let later = begin("/a", "1");
    arrived.notified().await;
    go.notify_one();
    assert_eq!(later.await.unwrap(), 200);
}

#[tokio::test]
async fn an_operation_can_be_asked_about() {
    let routes = Router::new().route("/payouts", post(async || Accepted::new("payout 7")));
    let find = async |id: String| {
        Ok(match id.as_str() {
            "payout 7" => Some(Operation::Running),
            "done" => Some(Operation::succeeded(json!({ "cents": 5 }))),
            "bad" => Some(Operation::Failed(Problem::new(StatusCode::CONFLICT).detail("no money"))),
            "broken" => return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE)),
            _ => None,
        })
    };
    let routes = around(InboundOptions::default(), routes.merge(operations(find)));
    let accepted = asked(&routes, keyed("/payouts", "1")).await;
    let location = accepted.headers()[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!((accepted.status(), &*location), (StatusCode::ACCEPTED, "/operations/payout%207"));
    let read = async |path: &str| {
        let response = asked(&routes, get_of(path)).await;
        let status = response.status().as_u16();
        (status, serde_json::from_slice::<Value>(&to_bytes(response.into_body(), 1000).await.unwrap()).unwrap())
    };
    assert_eq!(read(&location).await, (200, json!({ "id": "payout 7", "status": "running" })));
    assert_eq!(
        read("/operations/done").await.1,
        json!({ "id": "done", "status": "succeeded", "result": { "cents": 5 } })
    );
    assert_eq!(read("/operations/bad").await.1["problem"]["detail"], "no money");
    assert_eq!((read("/operations/other").await.0, read("/operations/broken").await.0), (404, 503));
}
