//! When the note of a group is written.

use annalist_core::{Checkpoints as _, Query};

use super::*;

async fn run(store: &Store) -> Run {
    let terms = Terms { query: Query::category("order"), attempts_max: 5, answer_within: Duration::from_secs(30) };
    let read = store.head().await.expect("a head");
    let (_, orders) = mpsc::channel(1);
    let kept = Kept { terms, read, unsettled: Vec::new() };
    Run::new("shipping".to_owned(), store.clone(), kept, orders, Arc::default()).await.expect("it begins")
}

const NOTE: &str = "$group/shipping";

#[tokio::test]
async fn what_did_not_change_is_not_written_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut run = run(&store).await;
    run.group.offer(1, "order-1");
    run.keep().await.expect("it is kept");
    let written = store.load(NOTE).await.expect("it is read").expect("it is there");
    // Where nobody writes, this stays.
    store.save(NOTE, Bytes::from_static(b"untouched")).await.expect("it is saved");
    run.changed();
    run.keep().await.expect("it is kept");
    assert_eq!(store.load(NOTE).await.expect("it is read").as_deref(), Some(&b"untouched"[..]));
    assert!(run.dirty.is_none(), "there is nothing to keep");
    run.group.offer(2, "order-1");
    run.keep().await.expect("it is kept");
    let now = store.load(NOTE).await.expect("it is read").expect("it is there");
    assert!(now.len() > written.len(), "{now:?}");
}

#[tokio::test]
async fn a_large_note_is_written_less_often_and_has_a_bound() {
    assert_eq!(save_after(0), GROUP_SAVE_INTERVAL);
    assert_eq!(save_after(4 * GROUP_SAVE_BYTES), 5 * GROUP_SAVE_INTERVAL);
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut run = run(&store).await;
    assert!(run.takes_in());
    let name = "n".repeat(GROUP_NOTE_BYTES_MAX / 1000);
    for position in 1..=1001 {
        run.group.offer(position, &name);
    }
    run.keep().await.expect("it is kept");
    assert!(run.group.has_room() && !run.takes_in(), "{} bytes", run.note.len());
}
