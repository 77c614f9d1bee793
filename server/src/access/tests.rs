use std::{fs, future::pending, task::Poll};

use axum::{Router, body::Body, middleware::from_fn_with_state, routing::post};
use futures_util::poll;
use tower::ServiceExt as _;

use super::*;

#[tokio::test]
async fn what_its_caller_did_not_wait_for_is_told_if_few_may_ask_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit");
    let audit = Arc::new(Audit::to(Some(&path)).expect("it can be written"));
    let access = Arc::new(Access { keys: None, tls: None, audit });
    let routes = Router::new().route("/{*path}", post(pending::<StatusCode>));
    let routes = routes.layer(from_fn_with_state(access, guard));
    for path in ["/annalist.v1.Care/Import", "/v1/append"] {
        let address = "10.0.0.1:99".parse().expect("an address");
        let mut request = Request::post(path).body(Body::empty()).expect("a request");
        request.extensions_mut().insert(Peer { address, certificate: None });
        let mut answer = Box::pin(routes.clone().oneshot(request));
        assert!(matches!(poll!(&mut answer), Poll::Pending));
        drop(answer);
    }
    let text = fs::read_to_string(&path).expect("it is written");
    let line: serde_json::Value = serde_json::from_str(&text).expect("one line");
    assert_eq!((&line["what"], &line["result"]), (&"POST /annalist.v1.Care/Import".into(), &"hung-up".into()));
}
