//! From a time to a position.

use annalist_core::{Append, Expected, Position, Read, RecordedEvent, Timestamp};

use super::{
    Store,
    support::{append, at, events, read, stream, whole_log},
};

async fn before(store: &Store, time: i64) -> Position {
    store.position_before(Timestamp::from_micros(time)).await.expect("the log can be searched")
}

fn micros(event: &RecordedEvent) -> i64 {
    event.time.as_micros()
}

/// The same, by looking at every event.
fn scanned(log: &[RecordedEvent], time: i64) -> Position {
    at(log.iter().filter(|event| micros(event) < time).count() as u64)
}

pub async fn no_position_is_before_any_time_of_an_empty_log(store: &Store) {
    for time in [i64::MIN, -1, 0, 1, 1_700_000_000_000_000, i64::MAX] {
        assert_eq!(before(store, time).await, Position::ZERO);
    }
}

pub async fn a_time_leads_to_the_last_event_before_it(store: &Store) {
    for number in 0..40 {
        // Several events of one append were recorded at the same time.
        append(store, Append::new().events(stream("a-1"), Expected::Any, events(0..=number % 4))).await;
    }
    let log = whole_log(store).await;
    let edges = [i64::MIN, 0, i64::MAX];
    for time in log.iter().map(micros).chain(edges) {
        for time in [time.saturating_sub(1), time, time.saturating_add(1)] {
            assert_eq!(before(store, time).await, scanned(&log, time), "before {time}");
        }
    }
    let (first, last) = (log.first().map_or(0, micros), log.last().map_or(0, micros));
    assert_eq!(before(store, first).await, Position::ZERO, "nothing is before the first");
    assert_eq!(before(store, last + 1).await, at(log.len() as u64), "everything is before what comes after the last");
    assert!(log.chunk_by(|a, b| a.time == b.time).any(|group| group.len() > 1), "some were recorded at the same time");
}

pub async fn reading_from_a_time_begins_with_its_first_event(store: &Store) {
    let mut times = 0;
    for number in 0.. {
        append(store, Append::new().events(stream("a-1"), Expected::Any, events([number]))).await;
        let log = whole_log(store).await;
        times = log.chunk_by(|a, b| a.time == b.time).count();
        if times >= 20 {
            break;
        }
    }
    let log = whole_log(store).await;
    let groups: Vec<&[RecordedEvent]> = log.chunk_by(|a, b| a.time == b.time).collect();
    assert_eq!(groups.len(), times);
    for group in groups {
        let (time, first) = group.first().map(|event| (micros(event), event.position)).expect("a group has an event");
        let after = before(store, time).await;
        let found = read(store, Read::all(after).limit(1)).await;
        assert_eq!(found.first().map(|event| event.position), Some(first));
    }
}

pub async fn times_are_found_in_a_long_log(store: &Store) {
    for number in 0..300 {
        append(store, Append::new().events(stream("a-1"), Expected::Any, events(0..=number % 15))).await;
    }
    let log = whole_log(store).await;
    for event in log.iter().step_by(37).chain(log.last()) {
        for time in [micros(event) - 1, micros(event), micros(event) + 1] {
            assert_eq!(before(store, time).await, scanned(&log, time), "before {time}");
        }
    }
}
