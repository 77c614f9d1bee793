//! Snapshots and checkpoints.

use annalist_core::{EventId, Snapshot};
use bytes::Bytes;

use super::{
    Subject,
    support::{stream, version},
};

fn snapshot(number: u64, state: impl Into<Bytes>) -> Snapshot {
    let event_id = EventId::new(uuid::Uuid::from_u128(u128::from(number)));
    Snapshot { version: version(number), event_id, schema: format!("state.v{number}"), state: state.into() }
}

async fn save(subject: &dyn Subject, name: &str, snapshot: Snapshot) {
    subject.snapshots().save(&stream(name), snapshot).await.expect("the snapshot is saved");
}

async fn load(subject: &dyn Subject, name: &str) -> Option<Snapshot> {
    subject.snapshots().load(&stream(name)).await.expect("snapshots can be loaded")
}

pub async fn a_snapshot_is_loaded_as_it_was_saved(subject: &dyn Subject) {
    assert_eq!(load(subject, "a-1").await, None);
    let states = [Bytes::new(), Bytes::from_static(b"\0\xff\x80"), Bytes::from(vec![7; 1024 * 1024])];
    for (number, state) in (1..).zip(states) {
        let name = format!("a-{number}");
        save(subject, &name, snapshot(number, state.clone())).await;
        assert_eq!(load(subject, &name).await, Some(snapshot(number, state)));
    }
    let nameless = Snapshot { schema: String::new(), ..snapshot(u64::MAX, "state") };
    save(subject, "a-9", nameless.clone()).await;
    assert_eq!(load(subject, "a-9").await, Some(nameless));
}

pub async fn a_snapshot_is_replaced(subject: &dyn Subject) {
    for number in [3, 7, 5] {
        save(subject, "a-1", snapshot(number, format!("state {number}"))).await;
        assert_eq!(load(subject, "a-1").await, Some(snapshot(number, format!("state {number}"))));
    }
}

pub async fn snapshots_of_different_streams_are_kept_apart(subject: &dyn Subject) {
    let names = ["a-1", "a-10", "a", "b-1", "ä-1"];
    for (number, name) in (1..).zip(names) {
        save(subject, name, snapshot(number, name)).await;
    }
    for (number, name) in (1..).zip(names) {
        assert_eq!(load(subject, name).await, Some(snapshot(number, name)));
    }
    assert_eq!(load(subject, "a-").await, None);
}

async fn note(subject: &dyn Subject, name: &str, note: impl Into<Bytes>) {
    subject.checkpoints().save(name, note.into()).await.expect("the checkpoint is saved");
}

async fn noted(subject: &dyn Subject, name: &str) -> Option<Bytes> {
    subject.checkpoints().load(name).await.expect("checkpoints can be loaded")
}

pub async fn a_checkpoint_is_loaded_as_it_was_saved(subject: &dyn Subject) {
    assert_eq!(noted(subject, "outbox").await, None);
    for (name, value) in [("outbox", &b"\0\xff position"[..]), ("empty", b"")] {
        note(subject, name, value).await;
        assert_eq!(noted(subject, name).await, Some(Bytes::from_static(value)));
    }
}

pub async fn a_checkpoint_is_replaced(subject: &dyn Subject) {
    for value in ["one", "", "a longer one", "two"] {
        note(subject, "outbox", value).await;
        assert_eq!(noted(subject, "outbox").await, Some(Bytes::from(value)));
    }
}

pub async fn checkpoints_of_different_names_are_kept_apart(subject: &dyn Subject) {
    let names = ["outbox", "outbox/a", "outbox/b", "Outbox", "ö"];
    for name in names {
        note(subject, name, name).await;
    }
    for name in names {
        assert_eq!(noted(subject, name).await, Some(Bytes::from(name)));
    }
    assert_eq!(noted(subject, "outbox/").await, None);
}
