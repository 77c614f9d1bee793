//! A key that fails is set aside, the others go on, and nothing is lost or applied out of order.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use annalist_core::{Cursor, EventType, Position, Read, RecordedEvent, StoreError};
use proptest::prelude::*;

use super::bank::{AccountEvent, BALANCES, PATIENCE, TOTALS, World, count, movements, state_when, sum};
use crate::{
    event::Recorded,
    projection::{
        ApplyError, Embedded, OnFailure, Parked, ParkedCount, ParkedError, Projection, ProjectionState, Projections,
        ReadModel as _, RebuildError, Table, Tx, bound::Bound, instance::Instance as _,
    },
};

/// The positions applied for each stream, in the order in which they were.
const ORDER: Table<String, Vec<u64>> = Table::new("order");

/// Parks what it cannot apply: the positions that the test says.
#[derive(Clone, Default)]
struct Picky {
    bad: Arc<Mutex<BTreeSet<u64>>>,
    /// The store of the rows is out of order at these.
    outage: Arc<Mutex<BTreeSet<u64>>>,
    keys_max: Option<usize>,
    stops: bool,
}

impl Picky {
    fn bad(positions: impl IntoIterator<Item = u64>) -> Self {
        Self { bad: Arc::new(Mutex::new(positions.into_iter().collect())), ..Self::default() }
    }

    fn mend(&self) {
        self.bad.lock().unwrap().clear();
    }
}

impl Projection for Picky {
    const NAME: &'static str = "picky";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        tokio::task::yield_now().await;
        count(event, tx)?;
        let position = event.record.position.get();
        tx.update(&ORDER, &event.record.stream().to_owned(), |order| order.push(position))?;
        if self.outage.lock().unwrap().contains(&position) {
            return Err(StoreError::Unavailable { why: "the disk is full".to_owned() }.into());
        }
        if self.bad.lock().unwrap().contains(&position) {
            return Err(ApplyError::new("not to my taste"));
        }
        Ok(())
    }

    fn on_failure(&self) -> OnFailure {
        let park = OnFailure::park().attempts(2);
        match self.keys_max {
            _ if self.stops => OnFailure::stop(),
            Some(keys_max) => park.keys_max(keys_max),
            None => park,
        }
    }
}

async fn seen(projections: &Projections, cursor: Cursor) {
    projections.reached::<Picky>(cursor, PATIENCE).await.unwrap();
}

async fn parked(projections: &Projections) -> Vec<Parked> {
    projections.of::<Picky>().unwrap().parked(None, usize::MAX).await.unwrap()
}

fn positions(parked: &[Parked]) -> Vec<u64> {
    parked.iter().map(|parked| parked.position.get()).collect()
}

type AllRows = (Vec<(String, i64)>, Option<(u64, i64)>, Vec<(String, Vec<u64>)>);

/// Everything that readers can see.
async fn rows(projections: &Projections) -> AllRows {
    let view = projections.view::<Picky>().unwrap();
    let (balances, order) = (view.scan(&BALANCES).await.unwrap(), view.scan(&ORDER).await.unwrap());
    (balances, view.get(&TOTALS, &()).await.unwrap(), order)
}

/// What a projection that never failed makes of the same log.
async fn replayed(world: &World, last: Cursor) -> AllRows {
    let fresh = World { log: Arc::clone(&world.log), ..World::new() };
    let projections = fresh.start(Picky::default()).await;
    seen(&projections, last).await;
    rows(&projections).await
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fails_is_parked_and_the_others_go_on() {
    let world = World::new();
    let last = world.record(movements(100)).await;
    // Events 9, 16, 23 and so on are of the account of event 9.
    let picky = Picky::bad([9]);
    let projections = world.start(picky.clone()).await;
    seen(&projections, last).await;
    let control = projections.named("picky").unwrap();

    let all = parked(&projections).await;
    assert_eq!(positions(&all), (9..=100).step_by(7).collect::<Vec<_>>());
    let first = &all[0];
    assert_eq!((first.key.as_str(), first.attempts), ("account-2", 2));
    assert!(first.error.as_ref().unwrap().contains("not to my taste"), "{first:?}");
    assert!(all[1..].iter().all(|behind| behind.error.is_none() && behind.attempts == 0));
    assert_eq!(positions(&control.parked(Some(&all[3]), 2).await.unwrap()), positions(&all[4..6]));

    let status = control.status().await.unwrap();
    assert_eq!((status.lag, status.parked), (0, ParkedCount { keys: 1, events: 14 }));
    assert_eq!(status.errors, 2, "as often as it was tried by itself");
    assert!(status.last_error.as_ref().unwrap().contains("not to my taste"), "{status:?}");
    assert!(status.to_string().ends_with("; 14 events of 1 keys are parked; 2 attempts failed"), "{status}");
    let order = projections.view::<Picky>().unwrap().get(&ORDER, &"account-2".to_owned()).await.unwrap();
    assert_eq!(order, Some(vec![2]), "nothing is applied over the hole");

    // As long as it fails nothing changes but the count of attempts.
    let failed = control.retry_parked("account-2").await.unwrap_err();
    assert!(matches!(failed, ParkedError::Failed { applied: 0, position, .. } if position.get() == 9), "{failed:?}");
    let again = parked(&projections).await;
    assert_eq!((again[0].attempts, again.len()), (3, 14));

    picky.mend();
    assert_eq!(control.retry_parked("account-2").await, Ok(14));
    assert_eq!(parked(&projections).await, []);
    assert_eq!(control.status().await.unwrap().parked, ParkedCount::default());
    assert_eq!(rows(&projections).await, replayed(&world, last).await);

    let none = control.retry_parked("account-2").await.unwrap_err();
    assert!(matches!(none, ParkedError::NoneParked { .. }), "{none:?}");
    let last = world.record(movements(10)).await;
    seen(&projections, last).await;
    assert_eq!(rows(&projections).await, replayed(&world, last).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_stays_parked_across_restarts_and_when_the_policy_changes() {
    let world = World::new();
    let picky = Picky::bad([3]);
    let mut last = world.record(movements(20)).await;
    let projections = world.start(picky.clone()).await;
    seen(&projections, last).await;
    let before = parked(&projections).await;
    assert_eq!(positions(&before), [3, 10, 17]);
    drop(projections);

    picky.mend();
    last = world.record(movements(20)).await;
    let projections = world.start(Picky { stops: true, ..picky }).await;
    seen(&projections, last).await;
    let after = parked(&projections).await;
    assert_eq!(after[..3], before);
    assert_eq!(positions(&after), [3, 10, 17, 23, 30, 37]);
    assert_eq!(projections.of::<Picky>().unwrap().retry_parked("account-3").await, Ok(6));
    assert_eq!(rows(&projections).await, replayed(&world, last).await);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_decoded_is_parked_and_can_be_given_up() {
    let world = World::new();
    world.record(movements(3)).await;
    world.record_raw("account-1", EventType::versioned("money-deposited", 2).unwrap(), "4").await;
    world.record_raw("account-1", EventType::new("account-renamed").unwrap(), "of no interest").await;
    let last = world.record(movements(3)).await;
    let projections = world.start(Picky::default()).await;
    seen(&projections, last).await;
    let control = projections.of::<Picky>().unwrap();
    let all = parked(&projections).await;
    assert_eq!(positions(&all), [4, 6], "what is of no interest does not wait");
    assert_eq!(all[0].attempts, 1, "the same bytes will not decode the next time either");

    let failed = control.retry_parked("account-1").await.unwrap_err();
    assert!(failed.to_string().contains("this program knows up to 1"), "{failed}");
    let none = control.discard_parked("account-1", Position::new(3)).await.unwrap_err();
    assert!(matches!(none, ParkedError::NoneParked { .. }), "{none:?}");
    assert_eq!(control.discard_parked("account-1", Position::new(4)).await, Ok(1));
    assert_eq!(control.retry_parked("account-1").await, Ok(1));
    let view = projections.view::<Picky>().unwrap();
    assert_eq!(view.get(&TOTALS, &()).await.unwrap(), Some((6, 2 * sum(3))));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_many_keys_or_of_the_store_is_no_matter_of_keys() {
    let world = World::new();
    world.record(movements(20)).await;
    let picky = Picky { keys_max: Some(2), ..Picky::bad([3, 4, 5]) };
    let projections = world.start(picky).await;
    let state = state_when(&projections, |state| matches!(state, ProjectionState::Failed { .. })).await;
    let ProjectionState::Failed { position, error } = state else { unreachable!() };
    assert_eq!(position, Some(Position::new(5)));
    assert!(error.ends_with("2 keys are parked already, as many as may be"), "{error}");
    // What is parked can be looked at, and applied, all the same.
    assert_eq!(positions(&parked(&projections).await), [3, 4]);

    let world = World::new();
    world.record(movements(20)).await;
    let picky = Picky::default();
    picky.outage.lock().unwrap().insert(7);
    let projections = world.start(picky).await;
    let state = state_when(&projections, |state| matches!(state, ProjectionState::Failed { .. })).await;
    assert!(state.to_string().contains("the disk is full"), "{state}");
    assert_eq!(parked(&projections).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_rebuild_parks_nothing_and_its_view_has_nothing_parked() {
    let world = World::new();
    let last = world.record(movements(50)).await;
    let picky = Picky::bad([9]);
    let projections = world.start(picky.clone()).await;
    seen(&projections, last).await;
    let before = rows(&projections).await;
    let failed = projections.rebuild::<Picky>().await.unwrap_err();
    assert!(
        matches!(&failed, RebuildError::Failed { position, .. } if *position == Some(Position::new(9))),
        "{failed:?}"
    );
    assert_eq!(rows(&projections).await, before);
    assert_eq!(parked(&projections).await.len(), 6);

    picky.mend();
    projections.rebuild::<Picky>().await.unwrap();
    assert_eq!(parked(&projections).await, []);
    let last = world.record(movements(20)).await;
    seen(&projections, last).await;
    assert_eq!(rows(&projections).await, replayed(&world, last).await);
    let notes = world.raw_rows().into_iter().filter(|key| key.starts_with(b"vpicky\0p")).count();
    assert_eq!(notes, 0, "notes go with the instance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_recorded_while_a_key_is_retried_come_behind() {
    let world = World::new();
    world.record(movements(500)).await;
    let picky = Picky::bad([9]);
    let projections = world.start(picky.clone()).await;
    let writer = tokio::spawn({
        let world = world.clone();
        async move {
            let mut last = Cursor::START;
            for _ in 0..100 {
                last = world.record(movements(10)).await;
                tokio::task::yield_now().await;
            }
            last
        }
    });
    let control = projections.of::<Picky>().unwrap();
    while parked(&projections).await.is_empty() {
        tokio::task::yield_now().await;
    }
    picky.mend();
    assert!(control.retry_parked("account-2").await.unwrap() > 0);
    let last = writer.await.unwrap();
    seen(&projections, last).await;
    assert_eq!(parked(&projections).await, []);
    assert_eq!(rows(&projections).await, replayed(&world, last).await);
}

/// A commit of a runner that was dropped may come through after a retry has looked at the cursor.
#[tokio::test]
async fn a_retry_never_sets_the_cursor_back() {
    let world = World::new();
    let last = world.record(movements(20)).await;
    let picky = Picky::bad([9]);
    let projections = world.start(picky.clone()).await;
    seen(&projections, last).await;
    let parked = parked(&projections).await;
    assert!(projections.shutdown().await);
    picky.mend();

    let model = Embedded::open(Arc::clone(&world.views), Picky::NAME, Picky::VERSION).await.unwrap();
    let instance = Bound::new(Arc::new(picky), model.clone());
    let mut batches = world.log.read(Read::all(Position::ZERO)).await.unwrap();
    let of_parked = |event: &RecordedEvent| parked.iter().any(|parked| parked.position == event.position);
    let events: Vec<_> = batches.next().await.unwrap().into_iter().filter(of_parked).collect();
    assert_eq!(events.len(), 2, "9 and 16");
    let looked_at = last.at(Position::new(5));
    instance.unpark("account-2", &events, looked_at).await.unwrap();
    assert_eq!(model.cursor().await.unwrap(), last);
}

/// What happens to a service between two of its lives.
#[derive(Clone, Debug)]
struct Life {
    records: i64,
    bad: BTreeSet<u64>,
    /// It is dropped when it has seen this share of the log, in eighths, or shut down at the end.
    dropped_at: Option<u64>,
    retries: Option<u8>,
}

fn life() -> impl Strategy<Value = Life> {
    let bad = proptest::collection::btree_set(1..160_u64, 0..6);
    (1..40_i64, bad, proptest::option::of(0..8_u64), proptest::option::of(0..7_u8))
        .prop_map(|(records, bad, dropped_at, retries)| Life { records, bad, dropped_at, retries })
}

async fn live(world: &World, lives: Vec<Life>) {
    let picky = Picky::default();
    let mut last = Cursor::START;
    for Life { records, bad, dropped_at, retries } in lives {
        last = world.record(movements(records)).await;
        *picky.bad.lock().unwrap() = bad;
        let projections = world.start(picky.clone()).await;
        let control = projections.of::<Picky>().unwrap();
        // It may fail, or have nothing to do.
        let retry = async move {
            if let Some(account) = retries {
                drop(control.retry_parked(format!("account-{account}")).await);
            }
        };
        if let Some(eighths) = dropped_at {
            seen(&projections, last.at(Position::new(last.position.get() * eighths / 8))).await;
            tokio::spawn(retry);
            // Dropped in the middle of the retry, or before it began, or behind it.
            for _ in 0..retries.unwrap_or_default() {
                tokio::task::yield_now().await;
            }
        } else {
            seen(&projections, last).await;
            retry.await;
            assert!(projections.shutdown().await);
        }
    }
    picky.mend();
    let projections = world.start(picky).await;
    seen(&projections, last).await;
    let control = projections.of::<Picky>().unwrap();
    while control.status().await.unwrap().parked != ParkedCount::default() || !parked(&projections).await.is_empty() {
        for account in 0..7 {
            match control.retry_parked(format!("account-{account}")).await {
                // What a life before left behind may have come in between.
                Ok(_) | Err(ParkedError::NoneParked { .. } | ParkedError::OutOfReach { .. }) => {}
                Err(failed) => panic!("{failed}"),
            }
        }
    }
    assert_eq!(rows(&projections).await, replayed(world, last).await);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_fails_and_whenever_the_service_ends_the_mended_view_is_that_of_a_replay(
        lives in proptest::collection::vec(life(), 1..5)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(live(&World::new(), lives));
    }
}
