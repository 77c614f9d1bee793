//! A sync that fails: the append's outcome is unknown, the store takes no more, goes on being read, and is clean after
//! reopening. The failure comes from outside, from a library that is loaded before the C library.

mod support;

use std::{collections::HashMap, fs};

use annalist_core::{Append, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, StreamId};
use annalist_store::Store;
use support::{Writer, ack, audit};
use tests::faults::{Fault, Plan, Shim};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_poisons_the_store_until_it_is_reopened() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let dir = temporary.path().join("store");
    let trigger = temporary.path().join("fail");
    let (mut command, journal) = (Writer::command(), temporary.path().join("journal"));
    fs::create_dir(&journal).expect("a folder can be made");
    let plan = Plan { fault: Fault::Eio, at: 1, on: "sync", matching: ".log", lasting: true, ..Plan::none(1) };
    Shim::compile(temporary.path()).load(&mut command, &plan, &dir, &journal, &temporary.path().join("report"));
    command.env("FAULTS_TRIGGER", &trigger);
    let mut acks = HashMap::new();
    let mut unknown = Vec::new();
    let mut writer = Writer::start(&mut command, &dir, "s", &["until-unknown"]);
    while acks.len() < 500 {
        let line = writer.line().expect("the writer goes on");
        let (key, first, last) = ack(&line).unwrap_or_else(|| panic!("{line}"));
        acks.insert(key, (first, last));
    }
    fs::write(&trigger, "").expect("the trigger can be written");
    let (mut refused, mut readable, mut health) = (0, None, None);
    for line in writer.rest() {
        match line.split_once(' ') {
            Some(("ack", _)) => {
                let (key, first, last) = ack(&line).expect("an ack");
                acks.insert(key, (first, last));
            }
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
