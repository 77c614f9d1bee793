//! Where work is done, and when it ends.

use std::sync::{Arc, Barrier};

use tokio::sync::mpsc;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_task_waits_for_is_done_at_the_same_time() {
    let (both, runtime) = (Arc::new(Barrier::new(2)), Handle::current());
    let one = || {
        let both = Arc::clone(&both);
        apart(&runtime, async move { both.wait().is_leader() })
    };
    let (first, second) = tokio::join!(one(), one());
    assert_ne!(first, second, "they have met");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_ends() {
    let (held, mut dropped) = mpsc::channel::<()>(1);
    let work = async move {
        held.closed().await;
        pending::<()>().await;
    };
    let runtime = Handle::current();
    {
        let mut waits = std::pin::pin!(apart(&runtime, work));
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
    }
    assert!(dropped.recv().await.is_none());
}
