use annalist_core::{
    Append, Batches, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, NewEvent, Query, Read, StreamId,
    Version,
};
use proptest::prelude::*;

use super::*;
use crate::{Durability, Store, StoreOptions, recovery};

fn options() -> StoreOptions {
    StoreOptions { durability: Durability::ProcessCrash, ..StoreOptions::default() }
}

fn stream() -> StreamId {
    StreamId::new("large-1").unwrap()
}

/// Events of these sizes, in one stream; those behind every third stand between events of another.
async fn record(store: &Store, sizes: &[usize]) {
    let event = |bytes| NewEvent::new(EventId::generate(), EventType::new("sized").unwrap(), vec![b'x'; bytes]);
    for (at, some) in sizes.chunks(3).enumerate() {
        let other = StreamId::new("other-1").unwrap();
        let append = Append::new().events(other, Expected::Any, [event(at % 200)]);
        let append = append.events(stream(), Expected::Any, some.iter().map(|bytes| event(*bytes)));
        store.append(append).await.unwrap();
    }
}

/// What a reader of a batch holds: no more than the bound, and what exceeds it of one page.
fn is_bounded(events: &[RecordedEvent]) {
    let sizes: Vec<usize> = events.iter().map(RecordedEvent::body_bytes).collect();
    let largest = sizes.iter().max().copied().unwrap_or_default();
    let others = sizes.iter().sum::<usize>() - largest;
    let bound = limits::BATCH_LIST_BYTES + limits::PAGE_BYTES;
    assert!(others < bound, "{} events of {others} bytes beside the largest", sizes.len());
}

async fn drain(mut batches: Box<dyn Batches>) -> Vec<RecordedEvent> {
    let mut all = Vec::new();
    loop {
        let events = batches.next().await.unwrap();
        if events.is_empty() {
            return all;
        }
        is_bounded(&events);
        all.extend(events);
    }
}

async fn follow(store: &Store, query: Query) -> Vec<RecordedEvent> {
    let (mut subscription, mut all) = (store.subscribe(query, Cursor::START).await.unwrap(), Vec::new());
    loop {
        match subscription.next().await.unwrap() {
            Delivery::CaughtUp(_) => return all,
            Delivery::Events(events) => {
                is_bounded(&events);
                all.extend(events);
            }
            Delivery::Checkpoint(_) => {}
        }
    }
}

/// Each event of the stream once, in order, whole.
fn are_all(found: &[RecordedEvent], sizes: &[usize]) {
    let found: Vec<_> = found.iter().map(|event| (event.version.get(), event.payload().len())).collect();
    assert_eq!(found, (1..).zip(sizes.iter().copied()).collect::<Vec<_>>());
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..2000_usize, 4 => 2000..60_000_usize, 1 => 200_000..700_000_usize]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]
    #[test]
    fn readers_hold_no_more_than_the_bound_and_find_everything(
        // Large ones behind small ones too, so that what is expected of the next is wrong.
        sizes in prop::collection::vec(size(), 1..60),
        small in 0..700_usize,
        begins_small: bool,
        limit in 1..200_u64,
    ) {
        let small = vec![40; small];
        let sizes = if begins_small { [small, sizes].concat() } else { [sizes, small].concat() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open_with(dir.path(), options()).unwrap();
            record(&store, &sizes).await;
            store.close().await.unwrap();
            // Nothing is in memory any more.
            let store = Store::open_with(dir.path(), options()).unwrap();
            let query = || Query::category("large");
            let behind = |read: Read| async { drain(store.read(read).await.unwrap()).await };
            are_all(&behind(Read::stream(stream(), Version::ZERO)).await, &sizes);
            are_all(&behind(Read::query(query(), Position::ZERO)).await, &sizes);
            let count = sizes.len().min(usize::try_from(limit).unwrap());
            are_all(&behind(Read::stream(stream(), Version::ZERO).limit(limit)).await, &sizes[..count]);
            are_all(&behind(Read::query(query(), Position::ZERO).limit(limit)).await, &sizes[..count]);
            for read in [Read::stream_backward(stream(), Version::MAX), Read::query_backward(query(), Position::MAX)] {
                let mut found = behind(read).await;
                found.reverse();
                are_all(&found, &sizes);
            }
            are_all(&follow(&store, query()).await, &sizes);
            store.close().await.unwrap();
        });
    }
}

#[tokio::test]
async fn small_events_come_as_many_at_a_time_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), options()).unwrap();
    record(&store, &[900; 1000]).await;
    let mut batches = store.read(Read::stream(stream(), Version::ZERO)).await.unwrap();
    let first = batches.next().await.unwrap();
    assert_eq!(first.len(), limits::BATCH_LIST_EVENTS);
    store.close().await.unwrap();
}

/// The places of the events of the log up to a position, page by page.
fn places(shared: &Shared, last: u64) -> Vec<Place> {
    let slot = |position: u64| {
        let first = shared.page_with(Position::new(position)).unwrap().first().get();
        (Position::new(position), u32::try_from(position - first).unwrap())
    };
    (1..=last).map(slot).collect()
}

#[tokio::test]
async fn threads_that_read_together_hold_no_more_than_twice_the_bound_and_a_page_each() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), options()).unwrap();
    record(&store, &[20_000; 300]).await;
    store.close().await.unwrap();
    let shared = recovery::open(dir.path(), options()).unwrap().shared;
    let plan = Arc::new(Plan::new(&places(&shared, 400)).unwrap());
    // What was read before was small: many pages are expected to fit.
    let batch = Part::new(0, limits::BATCH_LIST_BYTES, Weight::new(1));
    assert_eq!(plan.fitting(&batch), plan.end());
    let share = read_on(&plan, &shared, batch.share(0), plan.end(), Pause::Never).await.unwrap();
    let bytes: usize = share.events.iter().map(RecordedEvent::body_bytes).sum();
    assert!(share.next > 0 && share.failed.is_none(), "at least a page");
    let bound = 2 * limits::BATCH_LIST_BYTES / limits::FETCHES_TOGETHER + 20_000 + limits::PAGE_BYTES;
    assert!(bytes < bound, "{bytes} bytes are held by one of many");
    assert!(plan.fitting(&share) < share.next + 3, "what is expected goes by what was read");
}
