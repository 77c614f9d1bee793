use std::{sync::Arc, time::Duration};

use annalist_core::{
    Append, Checkpoints as _, Cursor, EventId, EventStore as _, EventType, Expected, NewEvent, Position, RecordedEvent,
    StoreError, StoreId, StreamId, Timestamp,
};
use annalist_memory::MemoryStore;
use uuid::Uuid;

use super::{super::*, *};
use crate::{DecodeError, EncodeError, EventSet, Recorded, outbox::contract};

/// Everything happens in virtual time.
const PATIENCE: Duration = Duration::from_hours(1);

/// An event is mapped to as many messages as its payload says; `bad` cannot be mapped.
fn spread(event: &RecordedEvent) -> Result<Vec<IntegrationEvent>, MapError> {
    let count: u32 = match event.payload() {
        b"bad" => return Err(MapError::new("bad")),
        payload => std::str::from_utf8(payload).unwrap().parse().unwrap(),
    };
    (0..count).map(|n| IntegrationEvent::json("spread.v1", n.to_string(), &event.position)).collect()
}

fn start(broker: &MemoryPublisher, log: &MemoryStore) -> Relay {
    let options = RelayOptions { window_messages_max: 7, ..RelayOptions::default() };
    Outbox::new(broker.clone()).map(spread).options(options).start(Arc::new(log.clone()), Arc::new(log.clone()))
}

async fn record(log: &MemoryStore, payloads: &[&'static str]) -> Cursor {
    let stream = StreamId::new("thing-1").unwrap();
    let event =
        |payload: &&'static str| NewEvent::new(EventId::generate(), EventType::new("happened").unwrap(), *payload);
    let events: Vec<_> = payloads.iter().map(event).collect();
    log.append(Append::new().events(stream, Expected::Any, events)).await.unwrap().cursor
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it must not take for ever")
}

async fn until(relay: &Relay, wanted: impl FnMut(&RelayStatus) -> bool) -> RelayStatus {
    within(relay.watch().wait_for(wanted)).await.unwrap().clone()
}

async fn stopped(relay: &Relay) -> Stopped {
    until(relay, |status| status.stopped().is_some()).await.stopped().unwrap().clone()
}

/// (position, ordinal) of all that the broker holds.
fn held(broker: &MemoryPublisher) -> Vec<(u64, u32)> {
    broker.messages().iter().map(|message| (message.cursor.position.get(), message.ordinal)).collect()
}

/// What it must hold when `payloads` were recorded.
fn expected(payloads: &[&str]) -> Vec<(u64, u32)> {
    let ordinals = |(position, payload): (u64, &&str)| {
        (0..payload.parse::<u32>().unwrap()).map(move |ordinal| (position, ordinal)).collect::<Vec<_>>()
    };
    (1..).zip(payloads).flat_map(ordinals).collect()
}

#[tokio::test(start_paused = true)]
async fn the_publisher_in_memory_keeps_to_the_contract() {
    let broker = MemoryPublisher::new();
    contract::all(|| broker.clone()).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_published_in_order() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    let before = ["1", "0", "2", "1"].repeat(200);
    record(&log, &before).await;
    let relay = start(&broker, &log);
    let head = record(&log, &["3", "0"]).await;
    assert_eq!(within(relay.drained()).await, Ok(head));
    assert_eq!(held(&broker), expected(&[&before[..], &["3", "0"]].concat()));
    let status = relay.status();
    assert_eq!((status.published, status.sequence, status.lag()), (803, 803, 0));
    assert_eq!(status.to_string(), "memory: 803 published, 0 events behind, connected");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_goes_down_anywhere_gets_the_rest_later_and_nothing_twice() {
    let payloads = ["3", "0", "5", "1"].repeat(5);
    let all = expected(&payloads);
    for stored in 0..all.len() {
        let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
        record(&log, &payloads).await;
        match stored {
            0 => broker.go_down(),
            stored => broker.go_down_after(stored),
        }
        let relay = start(&broker, &log);
        let down = until(&relay, |status| status.last_error.is_some()).await;
        assert!(!down.is_connected());
        assert_eq!(held(&broker), all[..stored], "down after {stored} messages");
        broker.come_up();
        within(relay.drained()).await.unwrap();
        assert_eq!(held(&broker), all, "down after {stored} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_published_before_is_known_without_the_broker() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    let head = record(&log, &["1", "2"]).await;
    let relay = start(&broker, &log);
    within(relay.drained()).await.unwrap();
    relay.shutdown().await;
    broker.go_down();
    let relay = start(&broker, &log);
    assert_eq!(relay.status().state, RelayState::Starting);
    let status = within(relay.started()).await;
    assert_eq!((status.scanned, status.lag(), status.is_connected()), (head, 0, false));
}

#[tokio::test(start_paused = true)]
async fn the_lag_is_visible_while_the_broker_is_away() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    broker.go_down();
    let relay = start(&broker, &log);
    record(&log, &["1", "1"]).await;
    until(&relay, |status| status.lag() == 2 && !status.is_connected()).await;
    record(&log, &["1"]).await;
    until(&relay, |status| status.lag() == 3).await;
    broker.come_up();
    let status = until(&relay, |status| status.is_connected() && status.lag() == 0).await;
    assert_eq!((status.published, status.last_error), (3, None));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_mapped_stops_the_relay_behind_everything_before_it() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    record(&log, &["1", "2", "bad", "1"]).await;
    let relay = start(&broker, &log);
    let Stopped::Unmappable { position, event_type, .. } = stopped(&relay).await else { panic!("{}", relay.status()) };
    assert_eq!((position, &*event_type), (Position::new(3), "happened.v1"));
    assert_eq!(held(&broker), [(1, 0), (2, 0), (2, 1)]);
    let error = within(relay.drained()).await.unwrap_err();
    assert!(matches!(error, DrainError::Stopped(Stopped::Unmappable { .. })), "{error}");
    assert_eq!(within(relay.published(relay.status().scanned)).await, Ok(()), "what is published is published");
}

#[tokio::test(start_paused = true)]
async fn an_event_mapped_to_too_much_stops_the_relay() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    record(&log, &["257"]).await;
    let why = stopped(&start(&broker, &log)).await;
    assert!(why.to_string().contains("at most 256"), "{why}");
    assert_eq!(held(&broker), []);
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_stops_the_relay_and_is_named() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    record(&log, &["0", "1"]).await;
    broker.refuse("spread.v1");
    let Stopped::Refused { position, .. } = stopped(&start(&broker, &log)).await else { panic!("not refused") };
    assert_eq!(position, Position::new(2));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_lost_its_end_gets_it_again() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    record(&log, &["3"; 10]).await;
    for kept in [20, 4, 0] {
        let relay = start(&broker, &log);
        within(relay.drained()).await.unwrap();
        relay.shutdown().await;
        broker.lose_all_but(kept);
    }
    within(start(&broker, &log).drained()).await.unwrap();
    assert_eq!(held(&broker), expected(&["3"; 10]));
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_store_that_went_another_way_is_refused() {
    let clock: annalist_memory::Clock = Arc::new(Timestamp::default);
    let copies = [0, 1].map(|_| MemoryStore::with(StoreId::new(Uuid::from_u128(7)), Arc::clone(&clock)));
    let [log, copy] = &copies;
    let broker = MemoryPublisher::new();
    for copy in &copies {
        record(copy, &["1", "1"]).await;
    }
    within(start(&broker, log).drained()).await.unwrap();
    let why = stopped(&start(&broker, copy)).await;
    assert!(matches!(why, Stopped::Foreign { .. }), "{why}");
    assert_eq!(broker.messages().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_relays_at_once_publish_everything_once() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    let relays = [start(&broker, &log), start(&broker, &log)];
    let payloads = ["1"; 50];
    for _ in 0..20 {
        record(&log, &payloads).await;
        tokio::task::yield_now().await;
    }
    for relay in &relays {
        within(relay.drained()).await.unwrap();
    }
    assert_eq!(held(&broker), expected(&["1"; 1000]));
    assert!(relays.iter().any(|relay| relay.status().fenced > 0), "they must notice each other");
}

#[tokio::test(start_paused = true)]
async fn the_note_is_saved_when_the_log_is_quiet_and_at_the_end() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    let relay = start(&broker, &log);
    let noted = async || log.load("outbox/memory").await.unwrap();
    record(&log, &["1"]).await;
    within(async {
        while noted().await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let quiet = noted().await;
    record(&log, &["0"]).await;
    within(relay.drained()).await.unwrap();
    assert_eq!(noted().await, quiet, "not at every event");
    relay.shutdown().await;
    assert_ne!(noted().await, quiet);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_shut_down_says_so_and_one_that_is_dropped_ends() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    broker.go_down();
    let relay = start(&broker, &log);
    assert_eq!(within(relay.shutdown()).await.stopped(), Some(&Stopped::Shutdown));

    let relay = start(&broker, &log);
    let mut watch = relay.watch();
    drop(relay);
    within(watch.wait_for(|status| status.stopped() == Some(&Stopped::Shutdown))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_panics_is_seen_in_the_status() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    record(&log, &["not a number"]).await;
    assert_eq!(stopped(&start(&broker, &log)).await, Stopped::Abandoned);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_closes_stops_the_relay() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    let relay = start(&broker, &log);
    until(&relay, RelayStatus::is_connected).await;
    log.close();
    assert_eq!(stopped(&relay).await, Stopped::Log(StoreError::Closed));
}

/// The events of the category `thing`, by hand.
#[derive(Clone)]
struct Happened(u64);

impl EventSet for Happened {
    const CATEGORY: &'static str = "thing";
    const TYPES: &'static [(&'static str, u16)] = &[("happened", 1)];
    fn event_type(&self) -> (&'static str, u16) {
        ("happened", 1)
    }
    fn tags(&self) -> Result<Vec<annalist_core::Tag>, EncodeError> {
        Ok(Vec::new())
    }
    fn encode(&self) -> Result<bytes::Bytes, EncodeError> {
        Ok(self.0.to_string().into())
    }
    fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        let failed = |detail: serde_json::Error| DecodeError::Payload {
            name: "happened",
            version,
            detail: format!("{name}: {detail}"),
        };
        serde_json::from_slice(payload).map(Self).map_err(failed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_typed_mapping_sees_the_decoded_events_of_its_category_only() {
    let (broker, log) = (MemoryPublisher::new(), MemoryStore::new());
    let other = NewEvent::new(EventId::generate(), EventType::new("happened").unwrap(), "not a number");
    log.append(Append::new().events(StreamId::new("other-1").unwrap(), Expected::Any, [other])).await.unwrap();
    record(&log, &["41", "42"]).await;
    let public = |recorded: &Recorded<Happened>| {
        let public = IntegrationEvent::json("things.happened.v1", recorded.record.stream(), &recorded.event.0)?;
        Ok::<_, MapError>(vec![public])
    };
    let outbox = || Outbox::new(broker.clone()).map_events(public);
    let relay = outbox().start(Arc::new(log.clone()), Arc::new(log.clone()));
    within(relay.drained()).await.unwrap();
    let data: Vec<_> = broker.messages().iter().map(|message| message.event.data.clone()).collect();
    assert_eq!(data, ["41", "42"]);

    record(&log, &["no number"]).await;
    let why = stopped(&relay).await;
    assert!(why.to_string().contains("position 4"), "{why}");
}
