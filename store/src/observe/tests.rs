#![expect(clippy::float_cmp, reason = "what is compared was counted, and so is exact")]

use annalist_core::{
    Append, AppendError, Cursor, EventId, EventStore as _, EventType, Expected, Key, NewEvent, Position, Query, Read,
    StreamId, Version,
};

use crate::{Health, Metrics, Store, StoreOptions};

fn event() -> NewEvent {
    NewEvent::new(EventId::generate(), EventType::new("happened").unwrap(), "{}")
}

fn to(stream: &str, expected: Expected, events: usize) -> Append {
    Append::new().events(StreamId::new(stream).unwrap(), expected, (0..events).map(|_| event()))
}

fn open(options: StoreOptions) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), options).unwrap();
    (dir, store)
}

fn number(metrics: &Metrics, name: &str, labels: &[&str]) -> f64 {
    metrics.number(name, labels).unwrap_or_else(|| panic!("{name} {labels:?} is missing"))
}

#[tokio::test]
async fn appends_are_counted_by_what_came_of_them() {
    let (_dir, store) = open(StoreOptions::default());
    let fingerprint = |byte| annalist_core::Fingerprint::new([byte; 16]);
    let keyed = |byte| to("a-1", Expected::Any, 1).keyed(Key::new("scope", "1").unwrap(), fingerprint(byte), "");
    store.append(to("a-1", Expected::NoStream, 2)).await.unwrap();
    store.append(keyed(1)).await.unwrap();
    assert!(store.append(keyed(1)).await.unwrap().repeated);
    assert!(matches!(store.append(keyed(2)).await, Err(AppendError::KeyReused { .. })));
    assert!(matches!(store.append(to("a-1", Expected::NoStream, 1)).await, Err(AppendError::Conflict { .. })));
    let unless = to("a-1", Expected::Any, 1).unless(Query::all(), Cursor::START);
    assert!(matches!(store.append(unless).await, Err(AppendError::ConditionFailed { .. })));
    assert!(matches!(store.append(Append::new()).await, Err(AppendError::Invalid(_))));

    let metrics = store.metrics().await;
    let of = |name: &str, labels: &[&str]| number(&metrics, name, labels);
    let refused = ["conflict", "condition", "key-reused", "invalid", "poisoned"];
    let refused = refused.map(|reason| of("annalist_append_refused", &[reason]));
    assert_eq!(refused, [1.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!((of("annalist_append_events", &[]), of("annalist_store_events", &[])), (3.0, 3.0));
    assert_eq!((of("annalist_append_duration", &[]), of("annalist_append_repeated", &[])), (2.0, 1.0));
    assert_eq!(of("annalist_page_group_appends", &[]), of("annalist_page_commit_duration", &[]));
    assert_eq!((of("annalist_append_queued", &[]), of("annalist_append_in_flight", &[])), (0.0, 0.0));
    assert_eq!(of("annalist_index_disk_lookups", &[]), 0.0, "so few events are in the tail");
}

#[tokio::test]
async fn reads_and_subscriptions_are_seen_for_as_long_as_they_live() {
    let (_dir, store) = open(StoreOptions::default());
    store.append(to("a-1", Expected::NoStream, 5)).await.unwrap();
    let query = Query::types(["happened"]);
    store.read(Read::stream(StreamId::new("a-1").unwrap(), Version::ZERO)).await.unwrap();
    store.read(Read::query(query, Position::ZERO)).await.unwrap();
    store.read(Read::all(Position::ZERO)).await.unwrap();
    store.read(Read::all(Position::ZERO)).await.unwrap();
    let metrics = store.metrics().await;
    assert_eq!(["stream", "query", "log"].map(|of| number(&metrics, "annalist_read_begun", &[of])), [1.0, 1.0, 2.0]);

    let lag = |metrics: &Metrics| {
        ["open", "lag_events"].map(|of| number(metrics, &format!("annalist_subscription_{of}"), &[]))
    };
    assert_eq!(lag(&metrics), [0.0, 0.0]);
    let idle = store.subscribe(Query::all(), Cursor::START).await.unwrap();
    let mut quick = store.subscribe(Query::all(), Cursor::START).await.unwrap();
    quick.next().await.unwrap();
    assert_eq!(lag(&store.metrics().await), [2.0, 5.0], "the slowest counts");
    drop(idle);
    assert_eq!(lag(&store.metrics().await), [1.0, 0.0]);
}

#[tokio::test]
async fn the_index_is_seen_to_follow() {
    let (_dir, store) = open(StoreOptions { index_chunk_events: 4, ..StoreOptions::default() });
    assert_eq!(number(&store.metrics().await, "annalist_index_lag_events", &[]), 0.0);
    store.append(to("a-1", Expected::NoStream, 3)).await.unwrap();
    assert_eq!(number(&store.metrics().await, "annalist_index_lag_events", &[]), 3.0);
    store.append(to("a-1", Expected::Any, 3)).await.unwrap();
    let indexed = async || {
        let metrics = store.metrics().await;
        number(&metrics, "annalist_index_lag_events", &[]) == 0.0
            && number(&metrics, "annalist_index_chunk_duration", &[]) >= 1.0
    };
    while !indexed().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_closed_store_has_failed_and_says_what_to_do() {
    let (_dir, store) = open(StoreOptions::default());
    assert_eq!(store.health(), Health::Healthy);
    assert_eq!(number(&store.metrics().await, "annalist_store_health", &["healthy"]), 1.0);
    store.close().await.unwrap();
    assert_eq!(store.health().why(), Some("the store is closed; open it again"));
    assert_eq!(number(&store.metrics().await, "annalist_store_health", &["failed"]), 1.0);
}
