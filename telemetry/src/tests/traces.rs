use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt;

use crate::{Telemetry, setup::layers, trace_id};

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

#[test]
fn a_trace_is_read_from_a_header_that_is_one() {
    assert_eq!(trace_id(PARENT).as_deref(), Some(&PARENT[3..35]));
    for nonsense in ["", "00-1-2-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "né"] {
        assert_eq!(trace_id(nonsense), None, "{nonsense}");
    }
}
