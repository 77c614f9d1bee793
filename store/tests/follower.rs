//! Following within one process. What other processes do to a follower is tested in `tests/tests/follower.rs`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use annalist_core::{
    Append, AppendError, Delivery, EventId, EventStore, EventType, Expected, Fingerprint, Key, NewEvent, Position,
    Query, Read, RecordedEvent, StoreError, StreamId, Tag, Version,
};

use annalist_store::{FollowOptions, Follower, OpenError, Store, StoreOptions};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_mins(2);

/// Small pieces, so that a short history fills memtables and chunks and uses its files again.
fn small() -> StoreOptions {
    let mut options = StoreOptions::default();
    (options.memtable_bytes, options.index_chunk_events, options.page_bytes) = (64 * 1024, 100, 1024);
    options
}

fn follow(dir: &Path) -> Follower {
    let mut options = FollowOptions::default();
    (options.interval_millis, options.index_chunk_events) = (1, 70);
    Store::follow(dir, options).expect("it can be followed")
}

async fn append(store: &Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let events = (0..=number % 3).map(|part| {
            let payload = format!("{number}.{part} {}", "x".repeat(usize::try_from(number * 37 % 700).expect("small")));
            let tag = Tag::new(format!("ten:{}", number % 10)).expect("a name");
            NewEvent::new(EventId::generate(), EventType::new("counted").expect("a name"), payload).with_tags([tag])
        });
        let key = Key::new("test", number.to_string()).expect("a name");
        let append = Append::new().events(StreamId::of("number", number % 7).expect("a name"), Expected::Any, events);
        store.append(append.keyed(key, Fingerprint::new([1; 16]), "")).await.expect("it is recorded");
    }
}

async fn all(store: &impl EventStore, read: Read) -> Vec<RecordedEvent> {
    let mut batches = store.read(read).await.expect("it can be read");
    let mut events = Vec::new();
    loop {
        let batch = batches.next().await.expect("it is sound");
        if batch.is_empty() {
            return events;
        }
        events.extend(batch);
    }
}

/// Waits until the follower has come to the end of the store.
async fn caught_up(store: &Store, follower: &Follower) {
    let head = store.head().await.expect("it is known");
    let mut subscription =
        follower.subscribe(Query::all(), follower.head().await.expect("it is known")).await.expect("it begins");
    let follow = async {
        while follower.head().await.expect("it is known") != head {
            subscription.next().await.expect("it goes on");
        }
    };
    tokio::time::timeout(LONG, follow).await.expect("it catches up");
}

/// Everything that can be asked is answered as the store answers it.
async fn agree(store: &Store, follower: &Follower) {
    caught_up(store, follower).await;
    let events = all(store, Read::all(Position::ZERO)).await;
    assert!(all(follower, Read::all(Position::ZERO)).await == events, "the log");
    let mut backward = all(follower, Read::all_backward(Position::MAX)).await;
    backward.reverse();
    assert!(backward == events, "the log, backward");
    for number in 0..7 {
        let stream = StreamId::of("number", number).expect("a name");
        let own: Vec<_> = events.iter().filter(|event| event.stream() == stream.as_str()).cloned().collect();
        assert!(all(follower, Read::stream(stream.clone(), Version::ZERO)).await == own, "{stream}");
        let mut backward = all(follower, Read::stream_backward(stream.clone(), Version::MAX)).await;
        backward.reverse();
        assert!(backward == own, "{stream}, backward");
    }
    let query = Query::tags([Tag::new("ten:3").expect("a name")]);
    let tagged = all(store, Read::query(query.clone(), Position::ZERO)).await;
    assert!(all(follower, Read::query(query, Position::ZERO)).await == tagged, "a query");
    for number in [0, 1, 17] {
        let key = Key::new("test", number.to_string()).expect("a name");
        assert_eq!(
            follower.outcome(&key).await.expect("it can be read"),
            store.outcome(&key).await.expect("it can be read")
        );
    }
    assert_eq!(
        follower.streams(None, None, 100).await.expect("it can be read"),
        store.streams(None, None, 100).await.expect("it can be read")
    );
    if let Some(middle) = events.get(events.len() / 2) {
        let before = store.position_before(middle.time).await.expect("it can be read");
        assert_eq!(follower.position_before(middle.time).await.expect("it can be read"), before);
    }
    let (own, theirs) =
        (follower.statistics().await.expect("it can be read"), store.statistics().await.expect("it can be read"));
    assert_eq!((own.head, own.streams, own.event_bytes), (theirs.head, theirs.streams, theirs.event_bytes));
    let verified =
        follower.verify(Position::ZERO, |_| std::ops::ControlFlow::Continue(())).await.expect("it can be read");
    assert!(verified.is_sound() && verified.through == own.head.position, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_answers_the_follower_answers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open_with(dir.path(), small()).expect("the store opens");
    let follower = follow(dir.path());
    agree(&store, &follower).await;
    append(&store, 0..20).await;
    agree(&store, &follower).await;
    // Some memtables and chunks: files are used again, tables and chunks come and go.
    append(&store, 20..2000).await;
    agree(&store, &follower).await;
    let late = follow(dir.path());
    agree(&store, &late).await;
    let refused = late.append(Append::new().events(StreamId::new("a-1").expect("a name"), Expected::Any, [])).await;
    assert!(matches!(refused, Err(AppendError::ReadOnly { .. })), "{refused:?}");
    store.close().await.expect("it closes");
    let store = Store::open_with(dir.path(), small()).expect("the store opens");
    append(&store, 2000..2300).await;
    for follower in [&follower, &late] {
        agree(&store, follower).await;
        assert_eq!(follower.health().state(), "healthy");
        follower.close().await.expect("it closes");
        assert_eq!(follower.head().await, Err(StoreError::Closed));
    }
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn what_is_not_known_to_be_durable_is_not_shown() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open_with(dir.path(), StoreOptions::default()).expect("the store opens");
    append(&store, 0..3).await;
    let noted = fs::read(dir.path().join("LOCK")).expect("the file can be reached");
    append(&store, 3..6).await;
    // As a process leaves it whose sync failed: what was written can be read, and nobody has said that it will be there.
    fs::remove_file(dir.path().join("LOCK")).expect("the file can be reached");
    fs::write(dir.path().join("LOCK"), noted).expect("the file can be reached");
    let follower = follow(dir.path());
    assert_eq!(follower.head().await.expect("it is known").position, Position::new(6));
    assert_eq!(all(&follower, Read::all(Position::ZERO)).await.len(), 6);
    // Nothing says so any more: what is not in tables may be lost.
    fs::remove_file(dir.path().join("LOCK")).expect("the file can be reached");
    assert_eq!(follow(dir.path()).head().await.expect("it is known").position, Position::ZERO);
    store.close().await.expect("it closes");
    let follower = follow(dir.path());
    assert_eq!(follower.head().await.expect("it is known").position, Position::new(12), "tables are durable");
}

/// The content of all files.
fn contents(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("the file can be reached") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("the file can be reached"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_nobody_has_open_is_read_and_not_changed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open_with(dir.path(), small()).expect("the store opens");
    append(&store, 0..500).await;
    let events = all(&store, Read::all(Position::ZERO)).await;
    store.close().await.expect("it closes");
    let before = contents(dir.path());
    let follower = follow(dir.path());
    assert!(all(&follower, Read::all(Position::ZERO)).await == events, "all is there");
    let mut subscription =
        follower.subscribe(Query::all(), follower.head().await.expect("it is known")).await.expect("it begins");
    assert!(matches!(subscription.next().await, Ok(Delivery::CaughtUp(_))));
    follower.close().await.expect("it closes");
    assert_eq!(subscription.next().await, Err(StoreError::Closed));
    assert!(contents(dir.path()) == before, "nothing was changed");
}

#[test]
fn what_is_no_store_is_not_followed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let nowhere = dir.path().join("nowhere");
    for folder in [dir.path(), &nowhere] {
        let refused = Store::follow(folder, FollowOptions::default()).expect_err("it is refused");
        assert!(matches!(refused, OpenError::NotAStore { .. }), "{refused:?}");
    }
    assert!(
        !nowhere.exists() && fs::read_dir(dir.path()).expect("the file can be reached").next().is_none(),
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_store_in_the_same_place_ends_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (place, away) = (dir.path().join("data"), dir.path().join("away"));
    let store = Store::open(&place).expect("the store opens");
    append(&store, 0..10).await;
    let follower = follow(&place);
    caught_up(&store, &follower).await;
    let head = store.head().await.expect("it is known");
    let mut subscription = follower.subscribe(Query::all(), head).await.expect("it begins");
    assert!(matches!(subscription.next().await, Ok(Delivery::CaughtUp(_))));
    store.close().await.expect("it closes");
    fs::rename(&place, &away).expect("the file can be reached");
    let other = Store::open(&place).expect("the store opens");
    append(&other, 0..20).await;
    let ended = tokio::time::timeout(LONG, subscription.next()).await.expect("it ends");
    let there = other.head().await.expect("it is known");
    let Err(StoreError::ForeignCursor { cursor, head: found }) = ended else { panic!("{ended:?}") };
    assert_eq!((cursor, found.store, found.epoch), (head, there.store, there.epoch));
    assert!(matches!(follower.head().await, Err(StoreError::ForeignCursor { .. })));
    assert_eq!(follower.health().state(), "failed");
    other.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_made_anew_ends_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open_with(dir.path(), small()).expect("the store opens");
    append(&store, 0..300).await;
    store.close().await.expect("it closes");
    let follower = follow(dir.path());
    let mut subscription =
        follower.subscribe(Query::all(), follower.head().await.expect("it is known")).await.expect("it begins");
    assert!(matches!(subscription.next().await, Ok(Delivery::CaughtUp(_))));
    Store::rebuild_index(dir.path(), small(), |_| {}).expect("it is made anew");
    let ended = tokio::time::timeout(LONG, subscription.next()).await.expect("it ends");
    assert!(matches!(&ended, Err(StoreError::Unavailable { why }) if why.contains("index")), "{ended:?}");
    let follower = follow(dir.path());
    assert_eq!(all(&follower, Read::all(Position::ZERO)).await.len(), 600);
}
