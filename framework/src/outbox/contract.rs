//! What every publisher keeps to: a suite that the implementations run, each against its own broker.
//!
//! ```
//! # use annalist::outbox::{MemoryPublisher, contract};
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let broker = MemoryPublisher::new();
//! contract::all(|| broker.clone()).await;
//! # });
//! ```

use annalist_core::{Cursor, Epoch, EventId, Metadata, Position, StoreId, Timestamp, Version};
use uuid::Uuid;

use super::{
    message::{IntegrationEvent, Message},
    publisher::{PublishError, Published, Publisher, Tail},
};

/// Runs the whole suite on one broker, which must be empty at the start. `publisher` makes a new publisher to it each time.
///
/// # Panics
/// When the publisher breaks the contract; the message says how.
pub async fn all<P: Publisher>(publisher: impl Fn() -> P) {
    an_empty_broker_has_no_tail(publisher()).await;
    nothing_is_published_before_resuming(publisher()).await;
    let after = the_tail_is_what_was_published_last(publisher()).await;
    let after = a_new_publisher_finds_the_tail(publisher(), after).await;
    let after = a_second_publisher_does_no_harm(publisher(), publisher(), after).await;
    let after = a_publisher_that_missed_something_is_fenced(publisher(), publisher(), after).await;
    let after = publishing_goes_on(publisher(), after).await;
    two_publishers_interleave_without_harm(publisher(), publisher(), after).await;
}

/// Messages number `from ..= to` of a made-up log, one per event; the same each time.
#[must_use]
pub fn messages(from: u64, to: u64) -> Vec<Message> {
    (from..=to).map(message).collect()
}

fn message(position: u64) -> Message {
    let id = |of: u128| Uuid::from_u128(0x6f75_7462_6f78_0000_0000_0000_0000_0000 + of);
    let cursor = Cursor { store: StoreId::new(id(0)), epoch: Epoch::FIRST, position: Position::new(position) };
    Message {
        cursor,
        event_id: EventId::new(id(u128::from(position))),
        ordinal: 0,
        time: Timestamp::from_micros(1_700_000_000_000_000),
        stream: format!("order-{position}"),
        version: Version::new(1),
        metadata: Metadata::default(),
        event: IntegrationEvent {
            event_type: "orders.order-placed.v1".to_owned(),
            subject: position.to_string(),
            content_type: "application/json",
            data: format!("{{\"order\":{position}}}").into(),
        },
    }
}

/// The tail behind message number `position` when everything before it is stored.
fn tail(position: u64) -> Tail {
    Tail { sequence: position, last: (position > 0).then(|| Published::from(&message(position))) }
}

async fn resumed(publisher: &mut impl Publisher) -> Tail {
    publisher.resume().await.expect("a broker that is there tells its tail")
}

async fn an_empty_broker_has_no_tail(mut publisher: impl Publisher) {
    assert_eq!(resumed(&mut publisher).await, tail(0), "the broker must be empty when the suite begins");
}

async fn nothing_is_published_before_resuming(mut publisher: impl Publisher) {
    let result = publisher.publish(&messages(1, 2)).await;
    assert!(result.is_err(), "a publisher that has not resumed does not know where it publishes");
    assert_eq!(resumed(&mut publisher).await, tail(0), "a refused window must store nothing");
}

async fn the_tail_is_what_was_published_last(mut publisher: impl Publisher) -> u64 {
    resumed(&mut publisher).await;
    assert_eq!(publisher.publish(&messages(1, 3)).await, Ok(3), "the answer is the number of the last message");
    assert_eq!(publisher.publish(&messages(4, 1000)).await, Ok(1000), "windows follow each other");
    assert_eq!(resumed(&mut publisher).await, tail(1000), "what was acknowledged must be in the tail");
    1000
}

async fn a_new_publisher_finds_the_tail(mut publisher: impl Publisher, after: u64) -> u64 {
    assert_eq!(resumed(&mut publisher).await, tail(after), "the tail is the broker's, not the publisher's");
    assert_eq!(publisher.publish(&messages(after + 1, after + 1)).await, Ok(after + 1));
    after + 1
}

/// A second relay runs by mistake and does not know what the first has stored. It may be told so, or that its messages
/// are there already; and what it sends may be stored where it fits exactly behind what the first has stored. But
/// nothing may be stored twice or out of its place: message number n is n wherever it comes from.
async fn a_second_publisher_does_no_harm(mut first: impl Publisher, mut second: impl Publisher, after: u64) -> u64 {
    resumed(&mut first).await;
    resumed(&mut second).await;
    assert_eq!(first.publish(&messages(after + 1, after + 5)).await, Ok(after + 5));
    let result = second.publish(&messages(after + 1, after + 9)).await;
    if result.is_err() {
        let result = second.publish(&messages(after + 6, after + 6)).await;
        assert!(result.is_err(), "a fenced publisher does not know where it publishes until it resumes");
    }
    assert_told(&result, after + 9);
    // What was under way when the first refusal came may still arrive, and fit: the tail is asked for until it stays.
    let mut found = resumed(&mut second).await;
    let mut steady = 0;
    while steady < 20 {
        let before = std::mem::replace(&mut found, resumed(&mut second).await);
        steady = if found == before { steady + 1 } else { 0 };
    }
    assert_eq!(found, tail(found.sequence), "message number n must be n");
    let stored = if result.is_ok() { after + 9..=after + 9 } else { after + 5..=after + 9 };
    assert!(stored.contains(&found.sequence), "the last cannot be number {} after {result:?}", found.sequence);
    found.sequence
}

/// Not the id of a message keeps it out, which a broker forgets, but its place.
async fn a_publisher_that_missed_something_is_fenced(
    mut first: impl Publisher,
    mut second: impl Publisher,
    after: u64,
) -> u64 {
    resumed(&mut first).await;
    resumed(&mut second).await;
    assert_eq!(first.publish(&messages(after + 1, after + 1)).await, Ok(after + 1));
    let mut other = message(after + 1);
    other.event_id = EventId::new(Uuid::from_u128(after.into()));
    let result = second.publish(&[other]).await;
    assert!(matches!(result, Err(PublishError::Fenced { .. })), "expected to be fenced, got {result:?}");
    assert_eq!(resumed(&mut second).await, tail(after + 1), "a message out of its place must not be stored");
    after + 1
}

fn assert_told(result: &Result<u64, PublishError>, last: u64) {
    match result {
        Ok(number) => assert_eq!(*number, last, "the number of the last message"),
        Err(error) => assert!(matches!(error, PublishError::Fenced { .. }), "expected to be fenced, got {error}"),
    }
}

async fn publishing_goes_on(mut publisher: impl Publisher, after: u64) -> u64 {
    resumed(&mut publisher).await;
    assert_eq!(publisher.publish(&messages(after + 1, after + 2)).await, Ok(after + 2));
    after + 2
}

/// Two relays at once: each publishes what it finds to do, is told if it was too late, resumes.
async fn two_publishers_interleave_without_harm(mut one: impl Publisher, mut other: impl Publisher, after: u64) {
    let end = after + 40;
    let mut done = after;
    while done < end {
        let from = resumed(&mut one).await.sequence;
        resumed(&mut other).await;
        assert_eq!(other.publish(&messages(from + 1, from + 1)).await, Ok(from + 1));
        assert_told(&one.publish(&messages(from + 1, from + 3)).await, from + 3);
        done = resumed(&mut one).await.sequence;
        assert!(done > from, "what was acknowledged must be in the tail");
        assert_eq!(resumed(&mut other).await, tail(done), "both see the same tail, and message number n is n");
    }
}
