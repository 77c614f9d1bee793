//! Requests that come again, and what is counted of all.

use annalist_service::Service;
use serde_json::Value;

use super::account::{http, routes, started, wiring};

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_time() {
    let running = started(Service::new("accounts", wiring()).routes(routes)).await;
    let post = async |body: &'static str, key: &str| {
        let request = http().post(format!("http://{}/accounts/alice", running.addr())).body(body);
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let first = post(r#"{"cents": 50}"#, "1").await;
    assert_eq!((first.0, &first.1["balance"], &first.1["repeated"]), (200, &50.into(), &false.into()));
    assert_eq!(post(r#"{"cents": 7}"#, "2").await.1["balance"], 57);
    let again = post(r#"{"cents": 50}"#, "1").await;
    assert_eq!((again.0, &again.1["balance"], &again.1["repeated"]), (200, &50.into(), &true.into()));
    let other = post(r#"{"cents": 51}"#, "1").await;
    assert_eq!((other.0, &other.1["type"]), (422, &"urn:annalist:problem:key-reused".into()));
    let rejected = post(r#"{"cents": -100}"#, "3").await;
    assert_eq!((rejected.0, &rejected.1["detail"]), (422, &"only 57 cents are there".into()));

    let metrics = http().get(format!("http://{}/metrics", running.addr())).send().await.unwrap();
    let text = String::from_utf8(metrics.bytes().await.unwrap().to_vec()).unwrap();
    let of = |status: u16| {
        format!("annalist_request_total{{method=\"POST\",route=\"/accounts/{{account}}\",status=\"{status}\"}}")
    };
    assert!(text.contains(&format!("{} 3\n", of(200))) && text.contains(&format!("{} 2\n", of(422))), "{text}");
    assert!(text.contains("annalist_request_seconds_bucket"), "{text}");
    running.shutdown().await.unwrap();
}
