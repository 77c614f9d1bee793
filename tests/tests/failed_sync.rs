//! A sync that fails: the append's outcome is unknown, the store takes no more, goes on being read, and is clean after
//! reopening. The failure comes from outside, from a library that is loaded before the C library.

use std::{fs, process::Command};

use annalist_core::{Append, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, StreamId};
use annalist_store::Store;
use tests::writer::{Acks, Writer, audit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_poisons_the_store_until_it_is_reopened() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let dir = temporary.path().join("store");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash_writer"));
    let (mut writer, trigger) = Writer::start_with_failing_sync(&mut command, temporary.path(), &dir);
    let (mut acks, mut unknown) = (Acks::new(), Vec::new());
    writer.wait(500, &mut acks);
    fs::write(&trigger, "").expect("the trigger can be written");
    let (mut refused, mut readable, mut health) = (0, None, None);
    for line in writer.rest(&mut acks) {
        match line.split_once(' ') {
            Some(("unknown", key)) => unknown.push(key.to_owned()),
            Some(("poisoned", _)) => {}
            Some(("refused", _)) => refused += 1,
            Some(("readable", counts)) => readable = counts.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())),
            Some(("health", state)) => health = Some(state.to_owned()),
            _ => panic!("unexpected: {line}"),
        }
    }
    assert!(!unknown.is_empty(), "an append whose sync failed has an unknown outcome");
    assert_eq!(refused, 1, "the store takes no more appends");
    assert_eq!(health.as_deref(), Some("read-only"), "and says so");
    let (read, head) = readable.expect("the store can still be read");
    assert_eq!(read, head, "up to its durable head");
    let durable = acks.values().map(|(_, last)| *last).max();
    assert_eq!(head.parse().ok(), durable, "what was not synced is not shown");

    let store = Store::open(&dir).expect("the store opens again");
    audit(&store, &acks).await;
    for key in unknown {
        // The advice of the error: repeat it with the same key.
        let key = Key::new("crash", key).expect("a key");
        let event = NewEvent::new(EventId::generate(), EventType::new("written").expect("a type"), "{}");
        let append = Append::new().events(StreamId::new("again").expect("a stream"), Expected::Any, [event]);
        let recorded = store.outcome(&key).await.expect("keys can be read").is_some();
        let appended =
            store.append(append.keyed(key, Fingerprint::new([7; 16]), "")).await.expect("it is recorded now");
        assert_eq!(appended.repeated, recorded, "an append that was recorded after all is not recorded again");
    }
    store.close().await.expect("the store closes");
}
