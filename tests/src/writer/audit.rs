//! What must hold of a store whose writer died, however it died.

use std::collections::BTreeMap;

use annalist_core::{EventStore, Key, Position, Read, RecordedEvent, StreamId, Version};

use super::Acks;

/// All events, in order.
///
/// # Panics
/// If the log cannot be read.
pub async fn everything(store: &impl EventStore) -> Vec<RecordedEvent> {
    let mut read = store.read(Read::all(Position::ZERO)).await.expect("the log can be read");
    let mut events = Vec::new();
    loop {
        let batch = read.next().await.expect("the log is sound");
        if batch.is_empty() {
            return events;
        }
        events.extend(batch);
    }
}

/// The key that an event's payload names.
fn key_of(event: &RecordedEvent) -> String {
    let payload: serde_json::Value = serde_json::from_slice(event.payload()).expect("payloads are JSON");
    payload.get("key").and_then(|key| key.as_str()).expect("payloads name their key").to_owned()
}

/// Checks everything that must hold after any crash: positions dense, versions contiguous, time in order, every
/// acknowledged append there with its key remembered, each append whole, index and log of one mind. Returns the head.
///
/// # Panics
/// If something does not hold.
pub async fn audit(store: &impl EventStore, acks: &Acks) -> u64 {
    let events = everything(store).await;
    let head = store.head().await.expect("the head is known").position.get();
    assert_eq!(events.len() as u64, head, "the log holds every position up to its head");
    let mut streams: BTreeMap<String, Vec<&RecordedEvent>> = BTreeMap::new();
    let mut commits: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position.get(), position, "positions are dense");
        let stream = streams.entry(event.stream().to_owned()).or_default();
        stream.push(event);
        assert_eq!(event.version.get(), stream.len() as u64, "versions of {} are contiguous", event.stream());
        let commit = commits.entry(key_of(event)).or_insert((position, position));
        assert!(position - commit.1 <= 1, "the events of one append stand together");
        commit.1 = position;
    }
    assert!(events.is_sorted_by_key(|event| event.time), "time does not go backwards");
    for (key, places) in acks {
        assert_eq!(commits.get(key), Some(places), "the acknowledged append {key} is there");
    }
    for (key, (first, last)) in &commits {
        let number: u64 = key.rsplit('-').next().and_then(|number| number.parse().ok()).expect("keys end in a number");
        let expected = number % 3 + 1 + u64::from(number.is_multiple_of(4));
        assert_eq!(last - first + 1, expected, "the append {key} is whole");
        let outcome = store.outcome(&Key::new("crash", key.as_str()).expect("a key")).await.expect("keys can be read");
        let outcome = outcome.unwrap_or_else(|| panic!("the key {key} is remembered"));
        assert_eq!(outcome.reply, key.as_bytes(), "with its reply");
        assert_eq!((outcome.appended.after.next().get(), outcome.appended.cursor.position.get()), (*first, *last));
    }
    for (stream, expected) in streams {
        let stream = StreamId::new(stream).expect("a recorded name");
        let mut read = store.read(Read::stream(stream.clone(), Version::ZERO)).await.expect("streams can be read");
        let mut found = Vec::new();
        loop {
            let batch = read.next().await.expect("the index is sound");
            if batch.is_empty() {
                break;
            }
            found.extend(batch);
        }
        assert!(found.iter().eq(expected.iter().copied()), "the index and the log agree on {stream}");
    }
    head
}
