use annalist::TestEnv;
use axum::{body::Body, routing::get};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tower::ServiceExt;

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn after(days: i64) -> Timestamp {
    Timestamp::from_micros(TestEnv::START.as_micros() + days * 86_400_000_000)
}

fn api(env: &TestEnv, calls: &DeprecatedCalls) -> Router {
    let routes = |answer: &'static str| Router::new().route("/orders/{id}", get(async move || answer));
    let first = ApiVersion::new("v1").deprecated(after(10), "v2").sunset(after(20));
    let of = |version, answer| versioned(version, routes(answer), Arc::new(env.clone()), calls.clone());
    of(first, "one").merge(of(ApiVersion::new("v2"), "two"))
}

async fn asked(api: &Router, path: &str) -> Response {
    api.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn two_versions_are_served_and_the_old_one_goes() {
    let (env, calls) = (TestEnv::default(), DeprecatedCalls::default());
    let api = api(&env, &calls);
    let header =
        |response: &Response, name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    // What is announced for later is said at once, and not counted yet.
    let first = asked(&api, "/v1/orders/7").await;
    assert_eq!(first.status(), 200);
    assert_eq!(header(&first, "deprecation"), Some("@1704931200".to_owned()));
    assert_eq!(header(&first, "sunset"), Some("Sun, 21 Jan 2024 00:00:00 GMT".to_owned()));
    assert_eq!(header(&first, "link"), Some("</v2>; rel=\"successor-version\"".to_owned()));
    let second = asked(&api, "/v2/orders/7").await;
    assert_eq!((second.status(), header(&second, "deprecation")), (StatusCode::OK, None));
    env.advance(DAY * 10);
    assert_eq!(asked(&api, "/v1/orders/7").await.status(), 200);
    env.advance(DAY * 10);
    let gone = asked(&api, "/v1/orders/8").await;
    assert_eq!((gone.status(), header(&gone, "sunset").is_some()), (StatusCode::GONE, true));
    assert_eq!(asked(&api, "/v1/nothing").await.status(), StatusCode::GONE);
    assert_eq!(asked(&api, "/v2/nothing").await.status(), StatusCode::NOT_FOUND);
    let mut registry = Registry::default();
    registry.register("calls", "Calls", calls);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(text.contains("calls_total{version=\"v1\",route=\"/v1/orders/{id}\"} 2"), "{text}");
}
