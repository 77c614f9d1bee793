//! When the note of a group is written.

use annalist_core::{Checkpoints as _, Query};

use super::*;

async fn run(store: &Store) -> Run {
    let terms = Terms { query: Query::category("order"), attempts_max: 5, answer_within: Duration::from_secs(30) };
    let read = store.head().await.expect("a head");
    let (_, orders) = mpsc::channel(1);
    let kept = Kept { terms, read, unsettled: Vec::new() };
    Run::new("shipping".to_owned(), store.clone(), kept, orders, Arc::default(), Arc::default())
        .await
        .expect("it begins")
}

const NOTE: &str = "$group/shipping";

#[tokio::test]
async fn what_did_not_change_is_not_written_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut run = run(&store).await;
    run.group.join(1, 10);
    let hand_out = |run: &mut Run, position| {
        run.group.offer(position, &format!("order-{position}"));
        run.group.hand_out(Duration::ZERO).expect("an event")
    };
    hand_out(&mut run, 1);
    run.keep().await.expect("it is kept");
    let written = store.load(NOTE).await.expect("it is read").expect("it is there");
    // Where nobody writes, this stays.
    store.save(NOTE, Bytes::from_static(b"untouched")).await.expect("it is saved");
    run.changed();
    run.keep().await.expect("it is kept");
    assert_eq!(store.load(NOTE).await.expect("it is read").as_deref(), Some(&b"untouched"[..]));
    assert!(run.dirty.is_none(), "there is nothing to keep");
    hand_out(&mut run, 2);
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
    assert!(run.group.has_room());
    let name = "n".repeat(GROUP_NOTE_BYTES_MAX / 1000);
    for position in 1..=1001 {
        run.group.offer(position, &name);
    }
    assert!(run.group.open() < GROUP_OPEN_MAX && !run.group.has_room(), "{} bytes", run.note.len());
}

/// A group that lags has taken in thousands of events that nobody was given: the log has them.
#[tokio::test]
async fn what_nobody_was_given_is_not_in_the_note() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path()).expect("a store");
    let mut run = run(&store).await;
    run.group.join(1, 2);
    for position in 1..=1000 {
        run.read = run.read.at(Position::new(position));
        run.group.offer(position, &format!("order-{position}"));
    }
    let first = run.group.hand_out(Duration::ZERO).expect("an event");
    let second = run.group.hand_out(Duration::ZERO).expect("another");
    assert!(run.group.ack(first));
    run.keep().await.expect("it is kept");
    let kept = note::load(&store, "shipping").await.expect("it is read").expect("it is there");
    assert_eq!(kept.read, run.read.at(Position::new(2)));
    assert_eq!(kept.unsettled.iter().map(|item| item.position).collect::<Vec<_>>(), [second.position]);
}
