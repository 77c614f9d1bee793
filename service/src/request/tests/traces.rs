use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use annalist::SystemEnv;
use annalist_telemetry::{current, layers};
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tracing_subscriber::layer::SubscriberExt;

use crate::request::{RequestContext, RequestLayer, TRACEPARENT, TRACESTATE};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Ended {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().append(&mut batch);
        Ok(())
    }
}

impl Ended {
    fn of(&self, name: &str) -> Vec<SpanData> {
        self.0.lock().unwrap().iter().filter(|span| span.name == name).cloned().collect()
    }

    #[track_caller]
    fn one(&self, name: &str) -> SpanData {
        let mut found = self.of(name);
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }
}

/// Spans of this thread end there.
fn traced() -> (Ended, tracing::subscriber::DefaultGuard) {
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(ended.clone()).build();
    let subscriber = tracing_subscriber::registry().with(layers(&provider));
    (ended, tracing::subscriber::set_default(subscriber))
}

fn hex(span: &SpanData) -> (String, String) {
    (span.span_context.trace_id().to_string(), span.span_context.span_id().to_string())
}

/// What comes in goes on with its caller's trace, and what goes out names the span that it left.
#[tokio::test]
async fn a_request_goes_on_with_its_callers_trace_and_hands_its_own_place_on() {
    let (ended, _guard) = traced();
    let inner = service_fn(async |_: Request<()>| {
        let cx = RequestContext::current().unwrap();
        let mut outgoing = HeaderMap::new();
        cx.write(&mut outgoing, Instant::now() + Duration::from_secs(1), &SystemEnv);
        assert_eq!(outgoing[&TRACEPARENT], current().unwrap().traceparent);
        assert_eq!((cx.trace().to_string(), cx.trace().state()), (current().unwrap().traceparent, Some("a=1")));
        assert_eq!(outgoing[&TRACESTATE], "a=1");
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Ok::<_, Infallible>(response)
    });
    let layer = RequestLayer::new(Arc::new(SystemEnv), Duration::from_secs(5));
    let ask = |path: &str| {
        let request = Request::builder().uri(path).header(TRACEPARENT, PARENT).header(TRACESTATE, "a=1");
        layer.layer(inner).oneshot(request.body(()).unwrap())
    };
    ask("/orders").await.unwrap();
    let span = ended.one("annalist.request");
    assert_eq!((hex(&span).0, span.parent_span_id.to_string()), (PARENT[3..35].to_owned(), PARENT[36..52].to_owned()));
    assert_eq!((span.span_kind, span.status), (SpanKind::Server, Status::error("")));
    assert!(span.attributes.iter().all(|field| field.key.as_str() != "traceparent"), "{:?}", span.attributes);
}

/// Many probes are no traces, whatever they bring along; their requests have contexts all the same.
#[tokio::test]
async fn probes_are_not_traced() {
    let (ended, _guard) = traced();
    let inner = service_fn(async |_: Request<()>| {
        assert!(RequestContext::current().is_some() && current().is_none());
        Ok::<_, Infallible>(Response::new(()))
    });
    let layer = RequestLayer::new(Arc::new(SystemEnv), Duration::from_secs(5));
    for path in ["/health/live", "/metrics"] {
        let request = Request::builder().uri(path).header(TRACEPARENT, PARENT).body(()).unwrap();
        layer.layer(inner).oneshot(request).await.unwrap();
    }
    assert!(ended.0.lock().unwrap().is_empty());
}
