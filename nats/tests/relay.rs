//! A relay against a real broker: order, completeness, and what happens when something goes wrong.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::sync::Arc;

use annalist::outbox::{Outbox, Publisher, RelayState, RelayStatus, Stopped};
use annalist_core::{Append, EventStore, Expected, Position, StreamId};
use annalist_memory::MemoryStore;
use annalist_nats::Jetstream;
use support::{
    STREAM, Server, assert_holds_orders, drained, event, outbox, place_orders, relay, stored, take_notes, until,
};

#[tokio::test]
async fn ten_thousand_events_arrive_in_order_each_once() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 4_000).await;
    let relay = relay(&server, &log);
    place_orders(&log, 4_001, 10_000).await;
    drained(&relay).await;
    assert_eq!(relay.status().published, 10_000);
    assert_eq!(relay.status().lag(), 0);
    assert_holds_orders(&server.url(), 10_000).await;
}

#[tokio::test]
async fn a_service_works_without_the_broker_and_catches_up() {
    let (mut server, log) = (Server::reserve(), MemoryStore::new());
    let relay = relay(&server, &log);
    place_orders(&log, 1, 300).await;
    let waiting = |lag| {
        move |status: &RelayStatus| {
            status.lag() == lag && status.state == RelayState::Connecting && status.last_error.is_some()
        }
    };
    until(&relay, "300 events waiting", waiting(300)).await;
    place_orders(&log, 301, 700).await;
    until(&relay, "700 events waiting", waiting(700)).await;
    server.restart().await;
    drained(&relay).await;
    let status = relay.status();
    assert_eq!((status.lag(), status.is_connected(), status.last_error), (0, true, None));
    assert_holds_orders(&server.url(), 700).await;
}

#[tokio::test]
async fn a_broker_killed_under_load_loses_nothing_and_stores_nothing_twice() {
    let (mut server, log) = (Server::start().await, MemoryStore::new());
    let relay = relay(&server, &log);
    for round in 0..5 {
        let first = round * 2_000 + 1;
        place_orders(&log, first, first + 1_999).await;
        until(&relay, "publishing under way", |status| status.published >= first + 200).await;
        server.kill();
        until(&relay, "the loss to be noticed", |status| !status.is_connected()).await;
        server.restart().await;
    }
    drained(&relay).await;
    assert_holds_orders(&server.url(), 10_000).await;
}

#[tokio::test]
async fn a_second_relay_is_fenced_and_nothing_is_stored_twice() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    let one = relay(&server, &log);
    let other = relay(&server, &log);
    for first in (1..5_000).step_by(50) {
        place_orders(&log, first, first + 49).await;
        tokio::task::yield_now().await;
    }
    drained(&one).await;
    drained(&other).await;
    assert_holds_orders(&server.url(), 5_000).await;
    let fenced = one.status().fenced + other.status().fenced;
    assert!(fenced > 0, "two relays at once must notice each other");
}

#[tokio::test]
async fn a_relay_that_starts_again_continues_where_it_stopped() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    for first in (1..1_000).step_by(200) {
        let relay = relay(&server, &log);
        place_orders(&log, first, first + 199).await;
        until(&relay, "some orders", |status| status.scanned.position >= Position::new(first + 50)).await;
        let status = relay.shutdown().await;
        assert_eq!(status.stopped(), Some(&Stopped::Shutdown));
    }
    drained(&relay(&server, &log)).await;
    assert_holds_orders(&server.url(), 1_000).await;
}

#[tokio::test]
async fn what_maps_to_nothing_is_scanned_once() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 10).await;
    take_notes(&log, 11, 20_000).await;
    let first = relay(&server, &log);
    let head = drained(&first).await;
    first.shutdown().await;

    // Nothing below the noted position is mapped again, so a mapping that fails there is never asked.
    let mapping = |event: &annalist_core::RecordedEvent| {
        assert!(event.position > Position::new(20_000), "{} is mapped a second time", event.position);
        support::public(event)
    };
    let publisher = Jetstream::at(server.url()).stream(STREAM);
    let again = Outbox::new(publisher).map(mapping).start(Arc::new(log.clone()), Arc::new(log.clone()));
    let status = until(&again, "the note to be taken up", RelayStatus::is_connected).await;
    assert_eq!(status.scanned, head);
    place(&log, 20_001).await;
    drained(&again).await;
    assert_eq!(stored(&server.url()).await.len(), 11);
}

async fn place(log: &MemoryStore, order: u64) {
    let stream = StreamId::of("order", order).unwrap();
    log.append(Append::new().events(stream, Expected::Any, [event("order-placed", order, "{}")])).await.unwrap();
}

#[tokio::test]
async fn the_tail_of_another_store_is_refused() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 100).await;
    drained(&relay(&server, &log)).await;

    let other = MemoryStore::new();
    place_orders(&other, 1, 200).await;
    let status = until(&relay(&server, &other), "the refusal", |status| status.stopped().is_some()).await;
    assert!(matches!(status.stopped(), Some(Stopped::Foreign { .. })), "{status}");
    assert_holds_orders(&server.url(), 100).await;
}

#[tokio::test]
async fn a_message_that_the_broker_refuses_stops_the_relay_at_its_position() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 9).await;
    let too_large = event("order-placed", 10, vec![b' '; 2 * 1024 * 1024]);
    log.append(Append::new().events(StreamId::of("order", 10).unwrap(), Expected::Any, [too_large])).await.unwrap();
    place_orders(&log, 11, 20).await;
    let relay = relay(&server, &log);
    let status = until(&relay, "the refusal", |status| status.stopped().is_some()).await;
    let Some(Stopped::Refused { position, id, .. }) = status.stopped() else { panic!("{status}") };
    assert_eq!((position, id), (&Position::new(10), &support::order_id(10).to_string()));
    assert_holds_orders(&server.url(), 9).await;
}

#[tokio::test]
async fn messages_that_the_broker_no_longer_keeps_are_not_published_again() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 50).await;
    let first = relay(&server, &log);
    drained(&first).await;
    first.shutdown().await;

    purge(&server).await;
    place_orders(&log, 51, 60).await;
    drained(&relay(&server, &log)).await;
    let sequences: Vec<_> = stored(&server.url()).await.iter().map(|message| message.sequence).collect();
    assert_eq!(sequences, (51..=60).collect::<Vec<_>>());

    // Without a note nothing tells where to continue.
    purge(&server).await;
    let notes = Arc::new(MemoryStore::new());
    let lost = outbox(&server).start(Arc::new(log.clone()), notes);
    let status = until(&lost, "the stop", |status| status.stopped().is_some()).await;
    assert_eq!(status.stopped(), Some(&Stopped::LostTrack { sequence: 60 }));
}

async fn purge(server: &Server) {
    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).get_stream(STREAM).await.unwrap().purge().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_somebody_deleted_is_filled_again_from_the_log() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 50).await;
    let relay = relay(&server, &log);
    drained(&relay).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).delete_stream(STREAM).await.unwrap();
    place_orders(&log, 51, 60).await;
    drained(&relay).await;
    assert_holds_orders(&server.url(), 60).await;
}

#[tokio::test]
async fn a_stream_with_a_strange_last_message_is_refused() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 5).await;
    drained(&relay(&server, &log)).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    context.publish("ev.orders.somebody.else", "hello".into()).await.unwrap().await.unwrap();
    let status = until(&relay(&server, &log), "the refusal", |status| status.stopped().is_some()).await;
    assert!(matches!(status.stopped(), Some(Stopped::Misconfigured { .. })), "{status}");
}

#[tokio::test]
async fn a_stream_that_does_not_take_the_subjects_waits_until_it_does() {
    let (server, log) = (Server::start().await, MemoryStore::new());
    place_orders(&log, 1, 5).await;
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let config = |subject: &str| async_nats::jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![subject.to_owned()],
        ..Default::default()
    };
    context.create_stream(config("other.>")).await.unwrap();
    let relay = relay(&server, &log);
    let told = |status: &RelayStatus| status.last_error.as_ref().is_some_and(|e| e.contains("ev.orders.>"));
    until(&relay, "the reason", told).await;
    context.update_stream(config("ev.>")).await.unwrap();
    drained(&relay).await;
    assert_holds_orders(&server.url(), 5).await;
}

#[tokio::test]
async fn constructing_a_publisher_connects_to_nothing_and_a_wrong_name_is_told() {
    let mut wrong = Jetstream::at("nats://localhost:1").stream("OR.DERS");
    assert_eq!(wrong.name(), "nats:OR.DERS");
    let error = wrong.resume().await.unwrap_err();
    assert!(error.to_string().contains("letters, digits"), "{error}");
}
