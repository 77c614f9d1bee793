//! What a store says of itself.

use std::collections::BTreeSet;

use annalist_core::{Append, Cursor, Expected, Query, RecordedEvent, Statistics};

use super::{
    Store, Subject,
    support::{append, event, events, fingerprint, head, key, refusal, stream, tagged, whole_log},
};

async fn statistics(store: &Store) -> Statistics {
    store.statistics().await.expect("a store knows what it holds")
}

/// Compares with what is counted by looking at every event.
async fn assert_counted(store: &Store) -> Statistics {
    let (found, log) = (statistics(store).await, whole_log(store).await);
    let streams: BTreeSet<&str> = log.iter().map(RecordedEvent::stream).collect();
    let bytes: usize = log.iter().map(RecordedEvent::body_bytes).sum();
    assert_eq!(found.head, head(store).await);
    assert_eq!(
        (found.events(), found.streams, found.event_bytes),
        (log.len() as u64, streams.len() as u64, bytes as u64),
        "events, streams and bytes"
    );
    assert!(found.indexed <= found.head.position, "the index does not cover what is not there: {found:?}");
    assert_eq!(found.index_lag(), found.events() - found.indexed.get());
    found
}

pub async fn a_new_store_holds_nothing(subject: &mut dyn Subject) {
    let store = &subject.store();
    let found = assert_counted(store).await;
    assert_eq!((found.events(), found.streams, found.event_bytes, found.index_lag()), (0, 0, 0, 0));
    assert_eq!(found.amplification(), None);
}

pub async fn counts_grow_with_what_is_recorded(subject: &mut dyn Subject) {
    let store = &subject.store();
    for number in 0..60 {
        let to = |offset: u64| stream(&format!("counted-{}", (number + offset) % 9));
        let two = Append::new()
            .events(to(0), Expected::Any, [tagged("p".repeat(50), &["a", "b"]), event(number)])
            .events(to(5), Expected::Any, [event(number)]);
        append(store, two).await;
        assert_counted(store).await;
    }
    append(store, Append::new().keyed(key("nothing"), fingerprint(1), "reply")).await;
    let before = assert_counted(store).await;
    assert_eq!((before.events(), before.streams), (181, 10), "the store's own records count");
    append(store, Append::new().events(stream("large-1"), Expected::Any, events(0..5000))).await;
    let found = assert_counted(store).await;
    assert_eq!((found.events(), found.streams), (5181, 11));
}

pub async fn what_is_not_recorded_does_not_count(subject: &mut dyn Subject) {
    let store = &subject.store();
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(1)]).keyed(key("k"), fingerprint(1), ""))
        .await;
    let before = assert_counted(store).await;
    let more = || Append::new().events(stream("b-1"), Expected::Any, events(2..=9));
    refusal(store, more().guard(stream("c-1"), Expected::StreamExists)).await;
    refusal(store, more().unless(Query::all(), Cursor::START)).await;
    assert!(append(store, more().keyed(key("k"), fingerprint(1), "")).await.repeated);
    append(store, Append::new().guard(stream("d-1"), Expected::NoStream)).await;
    let found = assert_counted(store).await;
    assert_eq!((found.head, found.streams, found.event_bytes), (before.head, before.streams, before.event_bytes));
}

pub async fn only_a_store_on_a_disk_occupies_it(subject: &mut dyn Subject) {
    let store = subject.store();
    append(&store, Append::new().events(stream("a-1"), Expected::Any, events(0..1000))).await;
    let found = assert_counted(&store).await;
    if subject.reopens().is_some() {
        assert!(found.log_bytes > 0, "what is kept lies on the disk: {found:?}");
        assert!(found.amplification().is_some_and(|amplification| amplification > 0.0));
    } else {
        assert_eq!((found.log_bytes, found.index_bytes, found.index_lag()), (0, 0, 0));
        assert_eq!(found.amplification(), Some(0.0));
    }
}
