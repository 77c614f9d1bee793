//! Appends to several streams at once, and guards on streams that are not written.

use annalist_core::{Append, AppendError, Expected, Version};

use super::{
    Store,
    support::{append, at, event, events, head, numbers, refusal, stream, version, versions, whole_log, whole_stream},
};

fn exact(number: u64) -> Expected {
    Expected::Exact(version(number))
}

fn conflict(name: &str, expected: Expected, actual: u64) -> AppendError {
    AppendError::Conflict { stream: stream(name), expected, actual: version(actual) }
}

pub async fn all_streams_are_written_in_the_order_given(store: &Store) {
    append(store, Append::new().events(stream("b-1"), Expected::Any, [event(1)])).await;
    let several = Append::new()
        .events(stream("c-1"), Expected::NoStream, events(2..=3))
        .events(stream("a-1"), Expected::NoStream, [event(4)])
        .events(stream("b-1"), exact(1), events(5..=6))
        .events(stream("c-1"), exact(2), [event(7)]);
    let appended = append(store, several).await;
    assert_eq!((appended.after, appended.cursor.position), (at(1), at(7)));
    let last = [("c-1", 3), ("a-1", 1), ("b-1", 3)].map(|(name, last)| (stream(name), version(last)));
    assert_eq!(appended.streams, last, "each stream once, in the order of its first event");
    let log = whole_log(store).await;
    assert_eq!(numbers(&log), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(versions(&log), [1, 1, 2, 1, 2, 3, 3]);
    assert_eq!(numbers(&whole_stream(store, "a-1").await), [4]);
    assert_eq!(numbers(&whole_stream(store, "b-1").await), [1, 5, 6]);
    assert_eq!(numbers(&whole_stream(store, "c-1").await), [2, 3, 7]);
}

pub async fn nothing_is_written_when_a_later_entry_is_refused(store: &Store) {
    append(store, Append::new().events(stream("b-1"), Expected::Any, [event(1)])).await;
    let several = Append::new().events(stream("a-1"), Expected::NoStream, events(2..=3)).events(
        stream("b-1"),
        exact(0),
        [event(4)],
    );
    assert_eq!(refusal(store, several).await, conflict("b-1", exact(0), 1));
    assert_eq!(whole_stream(store, "a-1").await, []);
    assert_eq!(numbers(&whole_log(store).await), [1]);
}

pub async fn an_entry_sees_those_before_it(store: &Store) {
    let twice = Append::new()
        .events(stream("a-1"), Expected::NoStream, events(1..=2))
        .events(stream("a-1"), Expected::StreamExists, [event(3)])
        .events(stream("a-1"), exact(3), [event(4)]);
    let appended = append(store, twice).await;
    assert_eq!(appended.streams, [(stream("a-1"), version(4))]);
    let log = whole_log(store).await;
    assert_eq!((numbers(&log), versions(&log)), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
}

pub async fn a_conflict_with_an_earlier_entry_counts_its_events(store: &Store) {
    append(store, Append::new().events(stream("a-1"), Expected::Any, [event(1)])).await;
    let twice =
        Append::new().events(stream("a-1"), exact(1), events(2..=3)).events(stream("a-1"), exact(1), [event(4)]);
    assert_eq!(refusal(store, twice).await, conflict("a-1", exact(1), 3));
    let twice = Append::new().events(stream("b-1"), Expected::NoStream, [event(5)]).events(
        stream("b-1"),
        Expected::NoStream,
        [event(6)],
    );
    assert_eq!(refusal(store, twice).await, conflict("b-1", Expected::NoStream, 1));
    assert_eq!(numbers(&whole_log(store).await), [1]);
}

pub async fn a_guard_that_holds_lets_the_append_through(store: &Store) {
    append(store, Append::new().events(stream("guarded-1"), Expected::Any, events(1..=2))).await;
    for (number, guard) in (3..).zip([exact(2), Expected::StreamExists, Expected::Any]) {
        let guarded =
            Append::new().guard(stream("guarded-1"), guard).events(stream("a-1"), Expected::Any, [event(number)]);
        let appended = append(store, guarded).await;
        assert_eq!(appended.streams, [(stream("a-1"), version(number - 2))], "a guard is not among what was written");
    }
    append(store, Append::new().events(stream("a-1"), exact(3), [event(6)]).guard(stream("b-1"), Expected::NoStream))
        .await;
    assert_eq!(numbers(&whole_stream(store, "a-1").await), [3, 4, 5, 6]);
    assert_eq!(numbers(&whole_stream(store, "guarded-1").await), [1, 2]);
}

pub async fn a_guard_that_does_not_hold_refuses_the_append(store: &Store) {
    append(store, Append::new().events(stream("guarded-1"), Expected::Any, events(1..=2))).await;
    for guard in [exact(1), exact(3), Expected::NoStream] {
        let before = Append::new().guard(stream("guarded-1"), guard).events(stream("a-1"), Expected::Any, [event(3)]);
        let behind = Append::new().events(stream("a-1"), Expected::Any, [event(3)]).guard(stream("guarded-1"), guard);
        for guarded in [before, behind] {
            assert_eq!(refusal(store, guarded).await, conflict("guarded-1", guard, 2));
        }
    }
    let missing = Append::new()
        .events(stream("a-1"), Expected::Any, [event(3)])
        .guard(stream("missing-1"), Expected::StreamExists);
    assert_eq!(refusal(store, missing).await, conflict("missing-1", Expected::StreamExists, 0));
    assert_eq!(numbers(&whole_log(store).await), [1, 2]);
}

pub async fn guards_alone_write_nothing(store: &Store) {
    let held = append(store, Append::new().guard(stream("a-1"), Expected::NoStream)).await;
    assert_eq!((held.after, held.cursor.position), (at(0), at(0)));
    append(store, Append::new().events(stream("a-1"), Expected::Any, events(1..=3))).await;
    let guards = Append::new().guard(stream("a-1"), exact(3)).guard(stream("b-1"), Expected::NoStream);
    let held = append(store, guards).await;
    assert_eq!((held.after, held.cursor), (at(3), head(store).await));
    assert_eq!((held.streams, held.repeated), (vec![], false));
    let broken = Append::new().guard(stream("a-1"), exact(3)).guard(stream("b-1"), Expected::StreamExists);
    assert_eq!(refusal(store, broken).await, conflict("b-1", Expected::StreamExists, 0));
    assert_eq!(numbers(&whole_log(store).await), [1, 2, 3]);
}

pub async fn a_guard_sees_the_entries_before_it(store: &Store) {
    let good = Append::new()
        .guard(stream("a-1"), Expected::NoStream)
        .events(stream("a-1"), Expected::NoStream, events(1..=2))
        .guard(stream("a-1"), exact(2))
        .events(stream("a-1"), exact(2), [event(3)])
        .guard(stream("a-1"), exact(3));
    append(store, good).await;
    let bad = Append::new().events(stream("a-1"), exact(3), [event(4)]).guard(stream("a-1"), exact(3));
    assert_eq!(refusal(store, bad).await, conflict("a-1", exact(3), 4));
    assert_eq!(numbers(&whole_log(store).await), [1, 2, 3]);
}

pub async fn a_guard_does_not_make_a_stream(store: &Store) {
    let guarded = Append::new().guard(stream("b-1"), Expected::NoStream).guard(stream("c-1"), Expected::Any).events(
        stream("a-1"),
        Expected::NoStream,
        [event(1)],
    );
    append(store, guarded).await;
    for name in ["b-1", "c-1"] {
        assert_eq!(whole_stream(store, name).await, []);
        append(store, Append::new().events(stream(name), Expected::Exact(Version::ZERO), [event(2)])).await;
    }
}
