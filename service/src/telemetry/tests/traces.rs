use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use annalist::SystemEnv;
use http::{HeaderMap, Request, Response, StatusCode};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::{net::TcpListener, time::Instant};
use tower::{Layer, ServiceExt, service_fn};
use tracing_subscriber::layer::SubscriberExt;

use crate::{
    request::{RequestContext, RequestLayer, TRACEPARENT, TRACESTATE},
    telemetry::{Telemetry, current, setup::layers},
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01";

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

#[test]
fn what_is_said_of_links_makes_links_of_its_span_alone() {
    let (ended, _guard) = traced();
    let batch = tracing::debug_span!(target: "annalist", parent: None, "annalist.projection", events = 2).entered();
    for parent in [PARENT, OTHER, "nonsense"] {
        tracing::debug!(target: "annalist.link", { link.traceparent = parent, link.tracestate = "a=1" }, "linked");
    }
    tracing::info!(target: "annalist", "told");
    tracing::debug!(target: "annalist", "not told");
    tracing::debug_span!(target: "annalist", "annalist.append").in_scope(|| {});
    drop(batch);
    let (batch, append) = (ended.one("annalist.projection"), ended.one("annalist.append"));
    let linked: Vec<_> = batch.links.iter().map(|link| link.span_context.span_id().to_string()).collect();
    assert_eq!(linked, [PARENT[36..52].to_owned(), OTHER[36..52].to_owned()]);
    assert_eq!(batch.links.iter().next().unwrap().span_context.trace_state().header(), "a=1");
    let told: Vec<_> = batch.events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(told, ["told"], "what is said of links is no event");
    assert_eq!((append.parent_span_id, append.links.len()), (batch.span_context.span_id(), 0));
}

#[test]
fn what_lasts_as_long_as_its_task_is_no_parent() {
    let (ended, _guard) = traced();
    let task = tracing::info_span!(target: "annalist", "annalist.inbox", inbox = "a", consumer = "b").entered();
    let message = tracing::info_span!(target: "annalist", "annalist.inbox", inbox = "a", message_id = "1");
    message.in_scope(|| {});
    drop(message);
    tracing::info_span!(target: "annalist_nats", "annalist.nats", stage = "connect").in_scope(|| {});
    drop(task);
    let (message, connect) = (ended.one("annalist.inbox"), ended.one("annalist.nats"));
    assert_eq!(message.span_kind, SpanKind::Consumer);
    assert!([&message, &connect].iter().all(|span| span.parent_span_id.to_string() == "0000000000000000"));
}

/// A collector that takes connections and says nothing keeps no service from ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_does_not_wait_for_a_collector_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let provider = Telemetry::of("a-service").traces_to(endpoint).provider().unwrap();
    let subscriber = tracing_subscriber::registry().with(layers(&provider));
    tracing::subscriber::with_default(subscriber, || tracing::info_span!("work").in_scope(|| {}));
    let telemetry = Telemetry { provider: Some(provider) };
    assert!(telemetry.sends_traces());
    let ending = tokio::spawn(async move { telemetry.end(Duration::from_millis(100)).await });
    let (_connection, _) = listener.accept().await.unwrap();
    // It would wait for the answer for ten seconds, and twice more.
    tokio::time::timeout(Duration::from_secs(8), ending).await.expect("the end has a bound").unwrap();
}
