//! A rebuild outlasts the service: it goes on where it was, paused if it was paused, and leaves no trace when cancelled.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use annalist_core::{Cursor, Position, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    bank::{BALANCES, Balances, PATIENCE, TOTALS, World, movements, sum},
    rebuilds::{Throttled, stuck_rebuild},
};
use crate::{
    env::{Env, TestEnv},
    projection::{ProjectionSet, ProjectionStatus, Projections, RebuildError, RebuildOptions, embedded::Embedded},
};

async fn status(projections: &Projections) -> ProjectionStatus {
    projections.status().await.unwrap().remove(0)
}

/// Waits until no rebuild is in progress.
async fn rebuilt(projections: &Projections) {
    let waiting = async {
        while status(projections).await.rebuild.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn a_rebuild_that_a_crash_interrupted_goes_on_where_it_was() {
    let world = World::new();
    let (throttled, projections, rebuild, rows) = stuck_rebuild(&world).await;
    drop((projections, rebuild));
    tokio::task::yield_now().await;
    assert!(world.raw_rows().len() > rows, "what was replayed was kept");

    throttled.free_until.store(u64::MAX, Ordering::SeqCst);
    let before = throttled.applied.load(Ordering::SeqCst);
    let projections = world.start(throttled.clone()).await;
    let progress = status(&projections).await.rebuild.unwrap();
    assert!(!progress.paused, "{progress}");
    rebuilt(&projections).await;
    let applied = throttled.applied.load(Ordering::SeqCst) - before;
    assert!((500..800).contains(&applied), "{applied} events were replayed");
    let view = projections.view::<Throttled>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((1000, sum(1000))));
    assert_eq!(world.raw_rows().len(), rows);
}

#[tokio::test]
async fn a_shutdown_interrupts_a_rebuild() {
    let world = World::new();
    let (throttled, projections, rebuild, rows) = stuck_rebuild(&world).await;
    throttled.permits.add_permits(10_000);
    let (in_time, ended) = tokio::join!(projections.shutdown(), rebuild);
    assert!(in_time);
    // It may have been faster than the shutdown.
    if let Err(error) = ended {
        assert_eq!(error, RebuildError::Interrupted { name: "throttled".to_owned() });
    }
    let projections = world.start(throttled).await;
    rebuilt(&projections).await;
    assert_eq!(world.raw_rows().len(), rows);
}

#[tokio::test]
async fn a_paused_rebuild_stays_paused_across_a_restart_until_it_is_told_to_go_on() {
    let world = World::new();
    let (throttled, projections, rebuild, rows) = stuck_rebuild(&world).await;
    let control = projections.named("throttled").unwrap();
    assert!(control.pause_rebuild());
    throttled.permits.add_permits(300);
    rebuild.progress().wait_for(|progress| progress.paused).await.unwrap();
    let paused = status(&projections).await.to_string();
    assert!(paused.ends_with(", paused"), "{paused}");
    rebuild.detach();
    assert!(projections.shutdown().await);

    throttled.free_until.store(u64::MAX, Ordering::SeqCst);
    let before = throttled.applied.load(Ordering::SeqCst);
    let projections = world.start(throttled.clone()).await;
    while !status(&projections).await.rebuild.unwrap().paused {
        tokio::task::yield_now().await;
    }
    assert_eq!(throttled.applied.load(Ordering::SeqCst), before);
    let control = projections.of::<Throttled>().unwrap();
    assert!(control.resume_rebuild());
    rebuilt(&projections).await;
    assert_eq!(world.raw_rows().len(), rows);
    assert!(!control.resume_rebuild() && !control.pause_rebuild() && !control.cancel_rebuild(), "there is none");
}

#[tokio::test]
async fn a_rebuild_that_goes_on_can_be_cancelled() {
    let world = World::new();
    let (throttled, projections, rebuild, rows) = stuck_rebuild(&world).await;
    drop((projections, rebuild));
    let projections = world.start(throttled.clone()).await;
    let twice = projections.rebuild::<Throttled>().await.unwrap_err();
    assert_eq!(twice, RebuildError::InProgress { name: "throttled".to_owned() });
    assert!(projections.of::<Throttled>().unwrap().cancel_rebuild());
    throttled.permits.add_permits(1000);
    rebuilt(&projections).await;
    assert_eq!(world.raw_rows().len(), rows);
    drop(projections);
    let projections = world.start(throttled).await;
    assert_eq!(status(&projections).await.rebuild, None);
}

#[tokio::test]
async fn another_version_does_not_go_on_with_the_rebuild_of_this_one() {
    let world = World::new();
    let (_, projections, rebuild, rows) = stuck_rebuild(&world).await;
    drop((projections, rebuild));
    tokio::task::yield_now().await;
    Embedded::open_now(world.views.clone(), "throttled", 2).unwrap();
    // The empty instance of the new version has come.
    assert_eq!(world.raw_rows().len(), rows + 1);
}

/// The environment of another build of the program.
struct Rebuilt(TestEnv);

impl Env for Rebuilt {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn new_id(&self) -> Uuid {
        self.0.new_id()
    }
    fn jitter(&self) -> f64 {
        self.0.jitter()
    }
    fn program(&self) -> u64 {
        self.0.program() + 1
    }
}

#[tokio::test]
async fn another_program_begins_an_interrupted_rebuild_again() {
    let world = World::new();
    let (throttled, projections, rebuild, rows) = stuck_rebuild(&world).await;
    let control = projections.named("throttled").unwrap();
    assert!(control.pause_rebuild());
    throttled.permits.add_permits(300);
    rebuild.progress().wait_for(|progress| progress.paused).await.unwrap();
    drop((projections, control, rebuild));
    tokio::task::yield_now().await;

    throttled.free_until.store(u64::MAX, Ordering::SeqCst);
    let before = throttled.applied.load(Ordering::SeqCst);
    let env = Arc::new(Rebuilt(TestEnv::default()));
    let set = ProjectionSet::new(Arc::clone(&world.log), Arc::clone(&world.views), env);
    let mut set = set.with_options(world.options.clone());
    set.register(throttled.clone());
    let projections = set.start().await.unwrap();
    while !status(&projections).await.rebuild.unwrap().paused {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&projections).await.rebuild.unwrap().done, 0, "and it is still paused");
    assert!(projections.named("throttled").unwrap().resume_rebuild());
    rebuilt(&projections).await;
    assert_eq!(throttled.applied.load(Ordering::SeqCst) - before, 1000);
    let view = projections.view::<Throttled>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((1000, sum(1000))));
    assert_eq!(world.raw_rows().len(), rows);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_is_no_quicker_than_it_may() {
    let world = World::new();
    let last = world.record(movements(1000)).await;
    let projections = world.start(Balances).await;
    projections.reached::<Balances>(last, PATIENCE).await.unwrap();
    let slowly = RebuildOptions::default().events_per_second_max(100);
    let rebuilt = projections.of::<Balances>().unwrap().rebuild(slowly).await.unwrap();
    // The store hands out its events in pages of some size; the last does not wait.
    assert!(rebuilt.duration > Duration::from_secs(4), "{rebuilt}");
    let quickly = projections.rebuild::<Balances>().await.unwrap();
    assert!(quickly.duration < rebuilt.duration, "{quickly}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn a_rebuild_interrupted_anywhere_ends_with_the_view_of_a_replay(
        lives in proptest::collection::vec((0..400_usize, 0..60_i64), 1..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut expected = (0, 0);
            let mut record = async |count: i64| {
                expected = (expected.0 + count.unsigned_abs(), expected.1 + sum(count));
                (world.record(movements(count)).await, expected)
            };
            let (mut last, mut totals) = record(300).await;
            let projections = world.start(Balances).await;
            projections.reached::<Balances>(last, PATIENCE).await.unwrap();
            projections.rebuild::<Balances>().detach();
            drop(projections);
            for (yields, recorded) in lives {
                let projections = world.start(Balances).await;
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                drop(projections);
                if recorded > 0 {
                    (last, totals) = record(recorded).await;
                }
            }
            let projections = world.start(Balances).await;
            rebuilt(&projections).await;
            let view = projections.view::<Balances>().unwrap().after(last);
            assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some(totals));
            assert_eq!(view.cursor(), last);
            assert_ne!(last, Cursor::START.at(Position::ZERO));
            let accounts = view.scan(&BALANCES).await.unwrap();
            assert_eq!(accounts.iter().map(|(_, balance)| balance).sum::<i64>(), totals.1);
            assert_eq!(world.raw_rows().len(), 1 + 1 + accounts.len() + 1);
        });
    }
}
