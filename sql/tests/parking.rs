//! A key that fails is set aside in the view's own store, on every kind of it; nothing is lost or applied out of order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the cases are tests, though macros make them so")]

mod support;

use annalist::projection::{Parked, ParkedCount, ParkedError, Projections, RebuildError, RebuildOptions};
use annalist_core::{Cursor, Position};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use support::{
    Applied, InEmbedded, Ledger, LedgerInPartitions, LedgerInPostgres, LedgerInSqlite, PATIENCE, Picky, World,
};

async fn seen<L: Ledger>(projections: &Projections, cursor: Cursor) {
    projections.reached::<Picky<L>>(cursor, PATIENCE).await.unwrap();
}

async fn parked(projections: &Projections) -> Vec<Parked> {
    projections.named("picky").unwrap().parked(None, usize::MAX).await.unwrap()
}

fn positions(parked: &[Parked]) -> Vec<u64> {
    parked.iter().map(|parked| parked.position.get()).collect()
}

/// What a projection that never failed makes of the log of `1 ..= count`.
fn all(count: i64) -> Applied {
    let of = |account: i64| (1..=count).filter(|amount| amount.rem_euclid(7) == account).collect::<Vec<_>>();
    let streams = (0..7).map(|account| (format!("account-{account}"), of(account)));
    streams.filter(|(_, positions)| !positions.is_empty()).collect()
}

async fn a_key_that_fails_is_parked_and_the_others_go_on<L: Ledger>() {
    let (ledger, world, picky) = (L::make().await, World::new(), Picky::<L>::bad([9]));
    let last = world.record(1..=100).await;
    let projections = ledger.start(&world, picky.clone()).await;
    seen::<L>(&projections, last).await;
    let control = projections.named("picky").unwrap();

    let listed = parked(&projections).await;
    assert_eq!(positions(&listed), (9..=100).step_by(7).collect::<Vec<_>>());
    assert_eq!((listed[0].key.as_str(), listed[0].attempts), ("account-2", 2));
    assert!(listed[0].error.as_ref().unwrap().contains("not to my taste"), "{:?}", listed[0]);
    assert!(listed[1..].iter().all(|behind| behind.error.is_none() && behind.attempts == 0));
    assert_eq!(control.parked(Some(&listed[3]), 2).await.unwrap(), listed[4..6]);
    let status = control.status().await.unwrap();
    assert_eq!((status.lag, status.parked), (0, ParkedCount { keys: 1, events: 14 }));

    let failed = control.retry_parked("account-2").await.unwrap_err();
    assert!(matches!(failed, ParkedError::Failed { applied: 0, position, .. } if position.get() == 9), "{failed:?}");
    let again = parked(&projections).await;
    assert_eq!((again[0].attempts, again.len()), (3, 14));

    picky.mend();
    assert_eq!(control.retry_parked("account-2").await, Ok(14));
    assert_eq!((parked(&projections).await, ledger.notes().await), (Vec::new(), 0));
    assert_eq!(ledger.applied(&projections).await, all(100));
    let none = control.retry_parked("account-2").await.unwrap_err();
    assert!(matches!(none, ParkedError::NoneParked { .. }), "{none:?}");
    let last = world.record(101..=110).await;
    seen::<L>(&projections, last).await;
    assert_eq!(ledger.applied(&projections).await, all(110));
}

async fn what_is_parked_outlasts_restarts_and_can_be_given_up<L: Ledger>() {
    let (ledger, world, picky) = (L::make().await, World::new(), Picky::<L>::bad([3, 5]));
    let last = world.record(1..=20).await;
    let projections = ledger.start(&world, picky.clone()).await;
    seen::<L>(&projections, last).await;
    let before = parked(&projections).await;
    assert_eq!(positions(&before), [3, 10, 17, 5, 12, 19]);
    drop(projections);

    picky.mend();
    let last = world.record(21..=40).await;
    let projections = ledger.start(&world, picky).await;
    seen::<L>(&projections, last).await;
    let after = parked(&projections).await;
    assert_eq!((after.len(), &after[..3]), (12, &before[..3]));
    let control = projections.named("picky").unwrap();
    assert_eq!(control.discard_parked("account-3", Position::new(3)).await, Ok(1));
    let none = control.discard_parked("account-3", Position::new(3)).await.unwrap_err();
    assert!(matches!(none, ParkedError::NoneParked { .. }), "{none:?}");
    assert_eq!(control.retry_parked("account-3").await, Ok(5));
    assert_eq!(control.retry_parked("account-5").await, Ok(6));
    let mut expected = all(40);
    expected[3].1.remove(0);
    assert_eq!(ledger.applied(&projections).await, expected);
}

async fn a_rebuild_parks_nothing_and_notes_go_with_the_instance<L: Ledger>() {
    let (ledger, world, picky) = (L::make().await, World::new(), Picky::<L>::bad([9]));
    let last = world.record(1..=50).await;
    let projections = ledger.start(&world, picky.clone()).await;
    seen::<L>(&projections, last).await;
    let control = projections.named("picky").unwrap();
    let failed = control.rebuild(RebuildOptions::default()).await.unwrap_err();
    let at = Some(Position::new(9));
    assert!(matches!(&failed, RebuildError::Failed { position, .. } if *position == at), "{failed:?}");
    assert_eq!((parked(&projections).await.len(), ledger.notes().await), (6, 6));

    picky.mend();
    control.rebuild(RebuildOptions::default()).await.unwrap();
    assert_eq!((parked(&projections).await, ledger.notes().await), (Vec::new(), 0));
    assert_eq!(ledger.applied(&projections).await, all(50));
}

async fn events_that_are_recorded_while_a_key_is_retried_come_behind<L: Ledger>() {
    let (ledger, world, picky) = (L::make().await, World::new(), Picky::<L>::bad([9]));
    let last = world.record(1..=200).await;
    let projections = ledger.start(&world, picky.clone()).await;
    seen::<L>(&projections, last).await;
    picky.mend();
    let control = projections.named("picky").unwrap();
    let recording = async {
        let mut last = last;
        for first in (201..=400).step_by(10) {
            last = world.record(first..first + 10).await;
            tokio::task::yield_now().await;
        }
        last
    };
    let (last, retried) = tokio::join!(recording, control.retry_parked("account-2"));
    assert!(retried.unwrap() >= 28);
    seen::<L>(&projections, last).await;
    assert_eq!(parked(&projections).await, []);
    assert_eq!(ledger.applied(&projections).await, all(400));
}

/// What happens to a service between two of its lives: what it records, what fails, when it is dropped, whom it retries.
type Life = (i64, Vec<u64>, Option<u64>, Option<u8>);

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let bad = proptest::collection::vec(1..160_u64, 0..6);
    let life = (1..40_i64, bad, proptest::option::of(0..8_u64), proptest::option::of(0..7_u8));
    proptest::collection::vec(life, 1..4)
}

async fn whatever_fails_and_whenever_the_service_ends_the_mended_view_is_that_of_a_replay<L: Ledger>() {
    let mut runner =
        TestRunner::new_with_rng(ProptestConfig::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    for _ in 0..8 {
        let lives = lives().new_tree(&mut runner).unwrap().current();
        let said = format!("{lives:?}");
        let (ledger, world, picky, mut count) = (L::make().await, World::new(), Picky::<L>::bad([]), 0);
        let mut last = Cursor::START;
        for (records, bad, dropped_at, retries) in lives {
            last = world.record(count + 1..=count + records).await;
            count += records;
            *picky.bad.lock().unwrap() = bad.into_iter().collect();
            let projections = ledger.start(&world, picky.clone()).await;
            let control = projections.named("picky").unwrap();
            // It may fail, or have nothing to do.
            let retry = async move {
                if let Some(account) = retries {
                    drop(control.retry_parked(format!("account-{account}")).await);
                }
            };
            if let Some(eighths) = dropped_at {
                seen::<L>(&projections, last.at(Position::new(last.position.get() * eighths / 8))).await;
                // Dropped in the middle of the retry, or before it began, or behind it.
                let retrying = tokio::spawn(retry);
                tokio::time::sleep(std::time::Duration::from_micros(eighths * 500)).await;
                retrying.abort();
            } else {
                seen::<L>(&projections, last).await;
                retry.await;
                assert!(projections.shutdown().await);
            }
        }
        picky.mend();
        let projections = ledger.start(&world, picky).await;
        seen::<L>(&projections, last).await;
        let control = projections.named("picky").unwrap();
        while !parked(&projections).await.is_empty() {
            for account in 0..7 {
                match control.retry_parked(format!("account-{account}")).await {
                    // What a life before left behind may have come in between.
                    Ok(_) | Err(ParkedError::NoneParked { .. } | ParkedError::OutOfReach { .. }) => {}
                    Err(failed) => panic!("{failed}: {said}"),
                }
            }
        }
        assert_eq!(ledger.applied(&projections).await, all(count), "{said}");
    }
}

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::InEmbedded>().await; })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::LedgerInSqlite>().await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::LedgerInPostgres>().await; })*
        }
        mod partitions {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::LedgerInPartitions<3>>().await; })*
        }
    };
}

contract!(
    a_key_that_fails_is_parked_and_the_others_go_on,
    what_is_parked_outlasts_restarts_and_can_be_given_up,
    a_rebuild_parks_nothing_and_notes_go_with_the_instance,
    events_that_are_recorded_while_a_key_is_retried_come_behind,
    whatever_fails_and_whenever_the_service_ends_the_mended_view_is_that_of_a_replay,
);
