//! An index that belongs to another log than the one beside it is noticed at opening and made anew, though it is of the same store:
//! somebody has put an old copy of the log back and gone on from there.

use std::{fs, ops::ControlFlow, path::Path};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, NewEvent, Position, Query, Read, StreamId, Tag,
};
use annalist_store::{Store, StoreOptions};
use tests::subjects::copy_folder;

fn open(dir: &Path) -> Store {
    let mut options = StoreOptions::default();
    options.index_chunk_events = 20;
    Store::open_with(dir, options).expect("the store opens")
}

/// Opens, appends events of one tag, and closes.
async fn record(dir: &Path, tag: &str, count: u64) {
    let store = open(dir);
    for number in 0..count {
        let kind = EventType::new("happened").expect("a name");
        let event = NewEvent::new(EventId::generate(), kind, "{}").with_tags([Tag::new(tag).expect("a name")]);
        let stream = StreamId::of(tag, number % 3).expect("a name");
        store.append(Append::new().events(stream, Expected::Any, [event])).await.expect("it is recorded");
    }
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn an_index_of_another_log_is_made_anew() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let (one, other) = (temporary.path().join("one"), temporary.path().join("other"));
    record(&one, "common", 30).await;
    copy_folder(&one, &other);
    record(&one, "lost", 60).await;
    record(&other, "kept", 90).await;
    fs::remove_dir_all(other.join("index")).expect("it can be removed");
    copy_folder(&one.join("index"), &other.join("index"));

    let store = open(&other);
    for (tag, count) in [("common", 30), ("lost", 0), ("kept", 90)] {
        let query = Query::tags([Tag::new(tag).expect("a name")]);
        let mut read = store.read(Read::query(query, Position::ZERO)).await.expect("it can be read");
        let mut found = 0;
        loop {
            let events = read.next().await.expect("it can be read");
            if events.is_empty() {
                break;
            }
            assert!(events.iter().all(|event| event.tags().any(|other| other == tag)), "{events:?}");
            found += events.len();
        }
        assert_eq!(found, count, "{tag}");
    }
    let verified = store.verify(Position::ZERO, |_| ControlFlow::Continue(())).await.expect("it can be verified");
    assert!(verified.is_sound() && verified.is_complete(), "{verified:?}");
}
