//! What a stream must look like, and what is said when it does not.

use annalist_core::{Append, AppendError, Expected, Version};

use super::{
    Store,
    support::{
        append, event, events, fingerprint, head, key, numbers, refusal, stream, version, whole_log, whole_stream,
    },
};

fn one(name: &str, expected: Expected, number: u64) -> Append {
    Append::new().events(stream(name), expected, [event(number)])
}

fn conflict(name: &str, expected: Expected, actual: u64) -> AppendError {
    AppendError::Conflict { stream: stream(name), expected, actual: version(actual) }
}

pub async fn any_version_is_accepted_as_any(store: &Store) {
    for number in 1..=5 {
        append(store, one("a-1", Expected::Any, number)).await;
    }
    assert_eq!(numbers(&whole_stream(store, "a-1").await), [1, 2, 3, 4, 5]);
}

pub async fn no_stream_is_refused_once_there_is_one(store: &Store) {
    append(store, one("a-1", Expected::NoStream, 1)).await;
    append(store, one("a-2", Expected::NoStream, 2)).await;
    assert_eq!(refusal(store, one("a-1", Expected::NoStream, 3)).await, conflict("a-1", Expected::NoStream, 1));
    append(store, one("a-1", Expected::Any, 4)).await;
    assert_eq!(refusal(store, one("a-1", Expected::NoStream, 5)).await, conflict("a-1", Expected::NoStream, 2));
}

pub async fn an_existing_stream_is_refused_until_there_is_one(store: &Store) {
    append(store, one("other-1", Expected::Any, 1)).await;
    let exists = Expected::StreamExists;
    assert_eq!(refusal(store, one("a-1", exists, 2)).await, conflict("a-1", exists, 0));
    append(store, one("a-1", Expected::NoStream, 3)).await;
    append(store, one("a-1", exists, 4)).await;
    assert_eq!(numbers(&whole_log(store).await), [1, 3, 4]);
}

pub async fn an_exact_version_is_refused_when_it_is_another(store: &Store) {
    let exact = |number| Expected::Exact(version(number));
    assert_eq!(refusal(store, one("a-1", exact(1), 0)).await, conflict("a-1", exact(1), 0));
    append(store, Append::new().events(stream("a-1"), Expected::NoStream, events(1..=3))).await;
    for wrong in [0, 1, 2, 4, 5, u64::MAX] {
        assert_eq!(refusal(store, one("a-1", exact(wrong), 9)).await, conflict("a-1", exact(wrong), 3));
    }
    append(store, one("a-1", exact(3), 4)).await;
    append(store, one("a-1", exact(4), 5)).await;
    assert_eq!(refusal(store, one("a-1", exact(4), 6)).await, conflict("a-1", exact(4), 5));
    assert_eq!(numbers(&whole_log(store).await), [1, 2, 3, 4, 5]);
}

pub async fn exactly_version_zero_means_no_stream(store: &Store) {
    let zero = Expected::Exact(Version::ZERO);
    append(store, one("a-1", zero, 1)).await;
    assert_eq!(refusal(store, one("a-1", zero, 2)).await, conflict("a-1", zero, 1));
}

pub async fn a_conflict_names_the_first_entry_that_is_not_as_expected(store: &Store) {
    append(store, one("b-1", Expected::Any, 1)).await;
    append(store, one("c-1", Expected::Any, 2)).await;
    let several = Append::new()
        .events(stream("a-1"), Expected::NoStream, [event(3)])
        .events(stream("b-1"), Expected::NoStream, [event(4)])
        .events(stream("c-1"), Expected::NoStream, [event(5)]);
    assert_eq!(refusal(store, several).await, conflict("b-1", Expected::NoStream, 1));
    let own_event_first = Append::new()
        .events(stream("a-1"), Expected::NoStream, [event(6)])
        .events(stream("a-1"), Expected::NoStream, [event(7)])
        .events(stream("b-1"), Expected::NoStream, [event(8)]);
    assert_eq!(refusal(store, own_event_first).await, conflict("a-1", Expected::NoStream, 1));
    let guarded = Append::new().guard(stream("c-1"), Expected::Exact(version(7))).events(
        stream("b-1"),
        Expected::NoStream,
        [event(6)],
    );
    assert_eq!(refusal(store, guarded).await, conflict("c-1", Expected::Exact(version(7)), 1));
}

pub async fn a_refused_append_leaves_no_trace(store: &Store) {
    append(store, one("a-1", Expected::Any, 1)).await;
    let before = (head(store).await, whole_log(store).await);
    let refused = Append::new()
        .events(stream("new-1"), Expected::NoStream, events(2..=4))
        .events(stream("a-1"), Expected::NoStream, [event(5)])
        .keyed(key("refused"), fingerprint(1), "reply");
    assert_eq!(refusal(store, refused).await, conflict("a-1", Expected::NoStream, 1));
    assert_eq!((head(store).await, whole_log(store).await), before);
    assert_eq!(whole_stream(store, "new-1").await, []);
    assert_eq!(store.outcome(&key("refused")).await.expect("keys can be looked up"), None);
    let next = append(store, one("new-1", Expected::NoStream, 6)).await;
    assert_eq!(next.after, before.0.position, "no position is lost to what was refused");
}
