//! The process ends after each single record; the next one goes on.

use std::sync::Arc;

use annalist::{
    App,
    projection::{KeyValueStore, MemoryKeyValue},
    saga::{Begin, InstanceState, SagaOptions},
};
use tokio::select;

use crate::{
    cut::CutStore,
    support::{World, cents, deposit, inputs, request, settled, until},
    transfer::Transfer,
};

/// One transfer, killed after its n-th append for every n, until it ends without being killed. Returns how often.
async fn killed_everywhere(from: &str, to: &str, amount: u64, done: bool, keep_rows: bool) -> u64 {
    for appends in 1.. {
        let world = World::new();
        let seed = world.app().start().await.unwrap();
        deposit(&seed, from, 100).await;
        deposit(&seed, to, 7).await;
        request(&seed, "t1", from, to, amount).await;
        drop(seed);

        let cut = CutStore::new(world.memory.clone(), appends);
        let history = SagaOptions::default().begin(Begin::History);
        let views = Arc::<MemoryKeyValue>::clone(&world.views);
        let app = App::open(cut.store(views)).with_env(world.env.clone());
        let app = app.saga_with::<Transfer>(history.clone()).start().await.unwrap();
        let killed = select! {
            biased;
            () = cut.died() => true,
            () = until::<Transfer>(&app, "t1", InstanceState::Completed) => false,
        };
        drop(app);

        let views: Arc<dyn KeyValueStore> =
            if keep_rows { Arc::<MemoryKeyValue>::clone(&world.views) } else { Arc::new(MemoryKeyValue::new()) };
        let store = annalist::Store::new(world.memory.clone(), views);
        let app = App::open(store).with_env(world.env.clone()).saga_with::<Transfer>(history).start().await.unwrap();
        until::<Transfer>(&app, "t1", InstanceState::Completed).await;

        assert_eq!(settled(&app, "t1").await, Some(done), "killed after {appends}");
        let moved = if done { amount } else { 0 };
        assert_eq!(
            (cents(&app, from).await, cents(&app, to).await),
            (100 - moved, 7 + moved),
            "killed after {appends}"
        );
        app.shutdown().await.unwrap();
        check_log(&world, done, from, amount).await;
        if !killed {
            return appends;
        }
    }
    unreachable!("the process ends without being killed at last")
}

async fn check_log(world: &World, done: bool, from: &str, amount: u64) {
    let log = world.log().await;
    for (input, times) in inputs(&log) {
        assert_eq!(times, 1, "{input}");
    }
    let count = |name: &str| log.iter().filter(|record| record.type_name() == name).count();
    // Two deposits to begin with. What was withdrawn comes in on one side or the other, once.
    let withdrawn = count("money-withdrawn");
    assert_eq!(withdrawn, usize::from(!from.starts_with("slow") && amount <= 100));
    assert!(!done || withdrawn == 1);
    assert_eq!(count("money-deposited"), 2 + withdrawn);
    assert_eq!(count("transfer-settled"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_done_once_wherever_it_is_killed() {
    let appends = killed_everywhere("alice", "bob", 60, true, true).await;
    // Three commands; six inputs, the outcomes of the commands among them.
    assert_eq!(appends, 10, "as many appends as are expected, and one more");
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_done_once_though_all_rows_are_lost() {
    killed_everywhere("alice", "bob", 60, true, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_to_a_closed_account_is_paid_back_once_wherever_it_is_killed() {
    killed_everywhere("alice", "closed", 60, false, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_without_funds_fails_once_wherever_it_is_killed() {
    killed_everywhere("alice", "bob", 101, false, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_fires_once_wherever_the_process_is_killed() {
    killed_everywhere("slow", "bob", 60, false, true).await;
    killed_everywhere("slow", "bob", 60, false, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_or_does_not_answer_is_tried_again() {
    let world = World::new();
    let app = App::open(CutStore::moody(world.memory.clone()).store(Arc::new(MemoryKeyValue::new())));
    let app = app.with_env(world.env.clone()).saga::<Transfer>().start().await.unwrap();
    let calm = world.app().start().await.unwrap();
    deposit(&calm, "alice", 100).await;
    deposit(&calm, "bob", 7).await;
    for (id, to) in [("t1", "bob"), ("t2", "closed"), ("t3", "bob")] {
        request(&calm, id, "alice", to, 20).await;
    }
    for id in ["t1", "t2", "t3"] {
        until::<Transfer>(&app, id, InstanceState::Completed).await;
    }
    assert_eq!((cents(&calm, "alice").await, cents(&calm, "bob").await), (60, 47));
    for (input, times) in inputs(&world.log().await) {
        assert_eq!(times, 1, "{input}");
    }
    assert_eq!(app.saga::<Transfer>().unwrap().status().await.unwrap().last_error.as_deref(), Some("in a bad mood"));
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn a_saga_goes_on_over_restarts_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let store = annalist::Store::embedded(dir.path()).unwrap();
        let app = App::open(store).saga::<Transfer>().start().await.unwrap();
        deposit(&app, "alice", 10).await;
        let id = format!("t{round}");
        request(&app, &id, "alice", "bob", 10).await;
        if round < 3 {
            // Shut down wherever it is.
            app.shutdown().await.unwrap();
            continue;
        }
        let transfers = app.saga::<Transfer>().unwrap();
        transfers.idle().await.unwrap();
        for id in ["t1", "t2", "t3"] {
            assert_eq!(settled(&app, id).await, Some(true), "{id}");
        }
        assert_eq!((cents(&app, "alice").await, cents(&app, "bob").await), (0, 30));
        assert_eq!(transfers.status().await.unwrap().completed, 3);
        app.shutdown().await.unwrap();
    }
}
