//! What only this store lets one see: its clock and its identity are given to it. The rest is in the conformance suite.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, NewEvent, Position, Read, StoreId, StreamId, Timestamp,
};
use uuid::Uuid;

use crate::MemoryStore;

fn event() -> NewEvent {
    NewEvent::new(EventId::generate(), EventType::new("ticked").unwrap(), "{}")
}

#[tokio::test]
async fn recorded_times_follow_the_clock_but_never_backwards() {
    const CLOCK: [i64; 6] = [5, 7, 3, 7, -1, 9];
    let calls = AtomicUsize::new(0);
    let clock = move || Timestamp::from_micros(CLOCK[calls.fetch_add(1, Ordering::Relaxed)]);
    let id = StoreId::new(Uuid::from_u128(42));
    let store = MemoryStore::with(id, Arc::new(clock));
    for _ in CLOCK {
        let append = Append::new().events(StreamId::new("clock-1").unwrap(), Expected::Any, [event(), event()]);
        assert_eq!(store.append(append).await.unwrap().cursor.store, id);
    }
    let events = store.read(Read::all(Position::ZERO)).await.unwrap().next().await.unwrap();
    let times: Vec<i64> = events.iter().map(|event| event.time.as_micros()).collect();
    assert_eq!(times, [5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 9, 9]);
}

#[tokio::test]
async fn clones_are_the_same_store_and_others_are_not() {
    let store = MemoryStore::new();
    let append = Append::new().events(StreamId::new("a-1").unwrap(), Expected::Any, [event()]);
    let cursor = store.append(append).await.unwrap().cursor;
    assert_eq!(store.clone().head().await.unwrap(), cursor);
    let other = MemoryStore::new().head().await.unwrap();
    assert_eq!(other.position, Position::ZERO);
    assert_ne!(other.store, cursor.store);
}

#[tokio::test]
async fn a_subscription_ends_with_the_last_handle() {
    let store = MemoryStore::new();
    let mut subscription = store.subscribe(annalist_core::Query::all(), annalist_core::Cursor::START).await.unwrap();
    subscription.next().await.unwrap();
    drop(store);
    assert_eq!(subscription.next().await, Err(annalist_core::StoreError::Closed));
}
