//! One order through the real services, and what a receiver of OTLP within this test was told of it: spans with their parents
//! and links, from process to process.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[expect(unreachable_pub, dead_code, reason = "a module that other tests use more of")]
mod shop;

use std::collections::BTreeSet;

use annalist::{Metadata, SystemEnv};
use annalist_service::request::RequestContext;
use annalist_telemetry::receiver::{Receiver, Span};
use orders::{domain::Cents, fleet::ALL, fleet::Answered};
use shop::{Shop, order};

/// The trace of the customer's request, and the span in which it was sent.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Kinds of spans, by their numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const CONSUMER: i32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_followed_by_parents_and_links_through_all_processes() {
    let received = Receiver::start().await;
    let mut shop = Shop::prepare(Cents(15_000), 8);
    shop.fleet.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", &received.address());
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
    assert!(!request.is_root() && request.kind == SERVER, "{request:?}");
    assert_eq!((request.field("method"), request.field("status")), (Some("POST"), Some("202")));
    assert_eq!(request.field("traceparent"), None, "it is the parent, and no attribute");
    let placed = received.one("orders", "annalist.command", |span| span.is_child_of(&request));
    assert_eq!(placed.field("command"), Some("place-order-in-turn"));
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
        assert_eq!((asked.field("command"), inbox.kind), (Some("ask"), CONSUMER));
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
    assert_eq!((call.kind, call.field("status")), (CLIENT, Some("200")));
    let asked = received.one("provider", "annalist.request", |span| span.is_child_of(&call));
    received.one("provider", "annalist.command", |span| span.is_child_of(&asked));

    // Neither probes nor what lasts as long as its task are part of traces.
    let paths: BTreeSet<_> = received.spans().iter().filter_map(|span| span.field("path").map(str::to_owned)).collect();
    assert!(paths.iter().all(|path| !path.starts_with("/health")), "{paths:?}");
    for task in ["annalist.subscription", "annalist.consumer", "annalist.page", "annalist.index"] {
        assert!(received.spans().iter().all(|span| span.name != task), "{task}");
    }
}
