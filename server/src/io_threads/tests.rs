//! Where connections are served, and when that ends.

use std::thread::ThreadId;

use tokio::sync::mpsc;

use super::*;

/// The threads of a task there: at its beginning, and of one that it spawns.
async fn threads(io: &Handle) -> [ThreadId; 2] {
    let here = || thread::current().id();
    let both = io.spawn(async move { [here(), tokio::spawn(async move { here() }).await.expect("no panic")] });
    both.await.expect("no panic")
}

#[tokio::test]
async fn a_connection_stays_on_one_thread_and_they_take_turns() {
    let all = IoThreads::start().expect("there are threads");
    let count = 1 + all.others.len();
    let mut seen = Vec::new();
    for _ in 0..2 * count {
        let [first, second] = threads(all.next()).await;
        assert_eq!(first, second);
        seen.push(first);
    }
    let (once, again) = seen.split_at(count);
    assert_eq!(once, again, "in turns");
    assert!(once.iter().enumerate().all(|(at, thread)| !once[..at].contains(thread)), "each is another one");
    assert!(!once.contains(&thread::current().id()));
}

#[tokio::test]
async fn what_runs_on_them_ends_with_them() {
    let all = IoThreads::start().expect("there are threads");
    let (held, mut dropped) = mpsc::channel::<()>(1);
    all.next().spawn(async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    drop(all);
    assert!(dropped.recv().await.is_none());
}

#[tokio::test]
async fn when_they_have_ended_nothing_of_them_is_left() {
    let all = IoThreads::start().expect("there are threads");
    let (held, mut dropped) = mpsc::channel::<()>(1);
    all.next().spawn(async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    all.end().await;
    assert_eq!(dropped.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
}
