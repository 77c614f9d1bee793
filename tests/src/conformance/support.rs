//! What the cases are written with.

use std::fmt::Display;

use annalist_core::{
    Append, AppendError, Appended, Batches, Cursor, Delivery, EventId, EventType, Fingerprint, Key, NewEvent, Position,
    Query, Read, RecordedEvent, StreamId, Subscription, Tag, Version,
};

use super::Store;

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

/// An event that can be told from others by its payload.
pub(crate) fn event(payload: impl Display) -> NewEvent {
    NewEvent::new(EventId::generate(), EventType::new("counted").expect("a valid name"), payload.to_string())
}

/// Events whose payloads are these numbers.
pub(crate) fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<NewEvent> {
    numbers.into_iter().map(event).collect()
}

pub(crate) fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| Tag::new(*name).expect("a valid tag")).collect()
}

/// An event with tags.
pub(crate) fn tagged(payload: impl Display, names: &[&str]) -> NewEvent {
    event(payload).with_tags(tags(names))
}

/// An event of a type, with tags.
pub(crate) fn typed(name: &str, payload: impl Display, names: &[&str]) -> NewEvent {
    NewEvent { event_type: EventType::new(name.to_owned()).expect("a valid type"), ..tagged(payload, names) }
}

pub(crate) fn key(id: &str) -> Key {
    Key::new("conformance", id).expect("a valid key")
}

pub(crate) fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint::new([byte; 16])
}

pub(crate) fn at(position: u64) -> Position {
    Position::new(position)
}

pub(crate) fn version(version: u64) -> Version {
    Version::new(version)
}

pub(crate) async fn append(store: &Store, append: Append) -> Appended {
    store.append(append).await.expect("the append is accepted")
}

pub(crate) async fn refusal(store: &Store, append: Append) -> AppendError {
    store.append(append).await.expect_err("the append is refused")
}

pub(crate) async fn head(store: &Store) -> Cursor {
    store.head().await.expect("the head is known")
}

/// Everything that a read delivers.
pub(crate) async fn read(store: &Store, read: Read) -> Vec<RecordedEvent> {
    rest(&mut *store.read(read).await.expect("the read begins")).await
}

/// Everything that a read has not delivered so far.
pub(crate) async fn rest(batches: &mut dyn Batches) -> Vec<RecordedEvent> {
    let mut found = Vec::new();
    loop {
        let batch = batches.next().await.expect("the read goes on");
        if batch.is_empty() {
            let more = batches.next().await.expect("the end of a read is no error");
            assert!(more.is_empty(), "behind its end a read has nothing more: {more:?}");
            return found;
        }
        found.extend(batch);
    }
}

pub(crate) async fn whole_log(store: &Store) -> Vec<RecordedEvent> {
    read(store, Read::all(Position::ZERO)).await
}

pub(crate) async fn whole_stream(store: &Store, name: &str) -> Vec<RecordedEvent> {
    read(store, Read::stream(stream(name), Version::ZERO)).await
}

/// Everything that matches a query: read in both directions and followed, which must find the same.
pub(crate) async fn find(store: &Store, query: impl Into<Query>) -> Vec<RecordedEvent> {
    let query = query.into();
    let forwards = read(store, Read::query(query.clone(), Position::ZERO)).await;
    let mut backwards = read(store, Read::query_backward(query.clone(), Position::MAX)).await;
    backwards.reverse();
    assert_eq!(positions(&backwards), positions(&forwards), "both directions find the same: {query}");
    let (followed, edge) = until_caught_up(&mut *follow_query(store, query.clone(), Cursor::START).await).await;
    assert_eq!(positions(&followed), positions(&forwards), "who follows finds the same: {query}");
    assert!(backwards == forwards && followed == forwards, "not only the positions are the same: {query}");
    assert_eq!(edge, head(store).await, "the edge is behind all that was passed over: {query}");
    forwards
}

pub(crate) fn payloads(events: &[RecordedEvent]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8_lossy(event.payload()).into_owned()).collect()
}

pub(crate) fn numbers(events: &[RecordedEvent]) -> Vec<u64> {
    payloads(events).iter().map(|payload| payload.parse().expect("the payload is a number")).collect()
}

pub(crate) fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.get()).collect()
}

pub(crate) fn versions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.version.get()).collect()
}

pub(crate) async fn follow(store: &Store, after: Cursor) -> Box<dyn Subscription> {
    follow_query(store, Query::all(), after).await
}

pub(crate) async fn follow_query(store: &Store, query: impl Into<Query>, after: Cursor) -> Box<dyn Subscription> {
    store.subscribe(query.into(), after).await.expect("the cursor and the query are accepted")
}

/// What a subscription delivers up to the next edge, and the cursor that it gives there.
pub(crate) async fn until_caught_up(subscription: &mut dyn Subscription) -> (Vec<RecordedEvent>, Cursor) {
    let mut found = Vec::new();
    loop {
        match subscription.next().await.expect("the subscription goes on") {
            Delivery::Events(events) => {
                assert!(!events.is_empty(), "a delivery of events has at least one");
                found.extend(events);
            }
            Delivery::CaughtUp(cursor) => return (found, cursor),
            Delivery::Checkpoint(_) => {}
        }
    }
}

/// What a subscription delivers until that many events have come, whatever edges lie between.
pub(crate) async fn until_count(subscription: &mut dyn Subscription, count: usize) -> Vec<RecordedEvent> {
    let mut found = Found::default();
    while found.events.len() < count {
        found.add(subscription.next().await.expect("the subscription goes on"));
    }
    found.events
}

/// What came out of a subscription so far.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) events: Vec<RecordedEvent>,
    at_edge: bool,
}

impl Found {
    pub(crate) fn add(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Events(events) => {
                assert!(!events.is_empty(), "a delivery of events has at least one");
                self.events.extend(events);
                self.at_edge = false;
            }
            Delivery::CaughtUp(cursor) => {
                assert!(!self.at_edge, "an edge is told once: {cursor}");
                self.at_edge = true;
            }
            Delivery::Checkpoint(cursor) => {
                let last = self.events.last().map_or(Position::ZERO, |event| event.position);
                assert!(cursor.position > last, "a checkpoint lies behind what was delivered: {cursor}");
            }
        }
    }
}

/// Lets other tasks run this many times.
pub(crate) async fn yields(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
