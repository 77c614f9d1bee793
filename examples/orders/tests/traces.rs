//! One order through the real services, and what a receiver of OTLP within this test was told of it: spans with their parents
//! and links, from process to process.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[expect(unreachable_pub, dead_code, reason = "a module that other tests use more of")]
mod shop;

use std::{
    collections::BTreeSet,
    fmt::Write,
    sync::{Arc, Mutex},
};

use annalist::{Metadata, SystemEnv};
use annalist_service::request::RequestContext;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::span::SpanKind,
};
use orders::{domain::Cents, fleet::ALL, fleet::Answered};
use prost::Message;
use shop::{Shop, order};
use tokio::net::TcpListener;

/// The trace of the customer's request, and the span in which it was sent.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A span as it was received.
#[derive(Clone, Debug)]
struct Span {
    service: String,
    name: String,
    kind: i32,
    trace: String,
    id: String,
    /// Empty when it has none.
    parent: String,
    /// Traces and spans.
    links: Vec<(String, String)>,
    fields: Vec<KeyValue>,
}

impl Span {
    fn field(&self, name: &str) -> Option<String> {
        text(self.fields.iter().find(|field| field.key == name)?)
    }

    fn is_root(&self) -> bool {
        self.parent.is_empty()
    }

    fn is_linked_to(&self, other: &Self) -> bool {
        self.links.contains(&(other.trace.clone(), other.id.clone()))
    }

    fn is_child_of(&self, other: &Self) -> bool {
        (&self.trace, &self.parent) == (&other.trace, &other.id)
    }
}

fn text(field: &KeyValue) -> Option<String> {
    match field.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What was received.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Span>>>);

impl Receiver {
    /// Takes requests of exporters in, and says where.
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (receiver, address)
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().clone()
    }

    /// The only span of a service with this name of which this is true.
    #[track_caller]
    fn one(&self, service: &str, name: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let mut found = self.all(service, name, wanted);
        let of_service: Vec<_> = self.all(service, name, |_| true);
        assert_eq!(found.len(), 1, "`{name}` of {service}: {found:#?} of {of_service:#?}");
        found.remove(0)
    }

    fn all(&self, service: &str, name: &str, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let is_it = |span: &Span| span.service == service && span.name == name && wanted(span);
        self.spans().into_iter().filter(is_it).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers.get("content-type").unwrap(), "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = receiver.0.lock().unwrap();
    for of_resource in request.resource_spans {
        let attributes = of_resource.resource.unwrap().attributes;
        let service = text(attributes.iter().find(|field| field.key == "service.name").unwrap()).unwrap();
        let of_scopes = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(of_scopes.map(|span| Span {
            service: service.clone(),
            name: span.name,
            kind: span.kind,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            fields: span.attributes,
        }));
    }
    StatusCode::OK
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_followed_by_parents_and_links_through_all_processes() {
    let (received, address) = Receiver::start().await;
    let mut shop = Shop::prepare(Cents(15_000), 8);
    shop.fleet.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", &address);
    // Nothing is sent before the end but what fills a batch: what is seen here was sent when the services ended.
    shop.fleet.set_variable("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    shop.start_all().await;
    shop.deliver(7, 5).await;
    let caller = Metadata { traceparent: Some(CALLER.to_owned()), ..Metadata::default() };
    let customer = RequestContext::continuing(&caller, "a-customer", &SystemEnv);
    let trace = customer.trace().trace_id();
    assert_eq!(customer.scope(shop.place(&order(7, 3, 1177))).await, Answered::Yes);
    assert_eq!(shop.ended(7).await.status, "shipped");
    shop.stop().await;

    let services: BTreeSet<_> = received.spans().into_iter().map(|span| span.service).collect();
    assert_eq!(services, ALL.map(str::to_owned).into());

    // Of HTTP, command and append there is one trace: the customer's.
    let request = received.one("orders", "annalist.request", |span| span.trace == trace);
    assert!(!request.is_root() && request.kind == SpanKind::Server as i32, "{request:?}");
    assert_eq!((request.field("method"), request.field("status")), (Some("POST".to_owned()), Some("202".to_owned())));
    assert_eq!(request.field("traceparent"), None, "it is the parent, and no attribute");
    let placed = received.one("orders", "annalist.command", |span| span.is_child_of(&request));
    assert_eq!(placed.field("command").as_deref(), Some("place-order-in-turn"));
    let append = received.one("orders", "annalist.append", |span| span.is_child_of(&placed));
    assert_eq!(append.field("position"), placed.field("position"));

    // What handles the event begins a trace and is linked to the command: outbox with NATS, projections, the saga.
    let outbox = received.all("orders", "annalist.outbox", |span| span.is_linked_to(&placed));
    assert!(outbox.iter().any(Span::is_root), "{outbox:#?}");
    let published =
        received.all("orders", "annalist.nats", |span| outbox.iter().any(|outbox| span.is_child_of(outbox)));
    assert!(!published.is_empty(), "{outbox:#?}");
    let projected = received.all("orders", "annalist.projection", |span| span.is_linked_to(&placed));
    assert!(!projected.is_empty() && projected.iter().all(Span::is_root), "{projected:#?}");
    let taken = received.one("orders", "annalist.saga", |span| span.is_linked_to(&placed));
    assert!(taken.is_root() && taken.trace != trace, "{taken:?}");

    // Each service goes on with the trace of who asked it, and orders with that of the answer.
    for service in ["inventory", "payments", "shipping"] {
        let inbox = received.one(service, "annalist.inbox", |span| span.field("message_id").is_some());
        let asked = received.one("orders", "annalist.command", |span| inbox.is_child_of(span));
        assert_eq!((asked.field("command").as_deref(), inbox.kind), (Some("ask"), SpanKind::Consumer as i32));
        let sent = received.one("orders", "annalist.saga", |span| asked.is_child_of(span));
        assert!(sent.is_root() && sent.links.len() == 1, "{sent:?}");
        let answered = received.one(service, "annalist.command", |span| span.is_child_of(&inbox));
        let projected = received.all(service, "annalist.projection", |span| span.is_linked_to(&answered));
        assert!(!projected.is_empty() && projected.iter().all(Span::is_root), "{service}: {projected:#?}");
        let heard = received.one("orders", "annalist.inbox", |span| span.is_child_of(&answered));
        received.one("orders", "annalist.command", |span| span.is_child_of(&heard));
    }

    // Payments asks the provider over HTTP within its trace.
    let inbox = received.one("payments", "annalist.inbox", |_| true);
    let call = received.one("payments", "annalist.call", |span| span.is_child_of(&inbox));
    assert_eq!((call.kind, call.field("status").as_deref()), (SpanKind::Client as i32, Some("200")));
    let asked = received.one("provider", "annalist.request", |span| span.is_child_of(&call));
    received.one("provider", "annalist.command", |span| span.is_child_of(&asked));

    // Neither probes nor what lasts as long as its task are part of traces.
    let paths: BTreeSet<_> = received.spans().iter().filter_map(|span| span.field("path")).collect();
    assert!(paths.iter().all(|path| !path.starts_with("/health")), "{paths:?}");
    for task in ["annalist.subscription", "annalist.consumer", "annalist.page", "annalist.index"] {
        assert!(received.spans().iter().all(|span| span.name != task), "{task}");
    }
}
