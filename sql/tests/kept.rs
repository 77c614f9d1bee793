//! Instances beside the live one outlast a restart, on every kind of read model: a rebuild goes on, one can roll back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the cases are tests, though macros make them so")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use annalist::projection::{
    Kept, ModelError, ProjectionStatus, Projections, ReadModel, RebuildError, RebuildOptions, Unfinished,
};
use annalist_core::{Cursor, Position};
use support::{
    Applied, Database, Entries, InEmbedded, InPostgres, InSqlite, Ledger, LedgerInPartitions, LedgerInPostgres,
    LedgerInSqlite, PATIENCE, Picky, World, refused, totals, within,
};

async fn seen<L: Ledger>(projections: &Projections, cursor: Cursor) {
    projections.reached::<Picky<L>>(cursor, PATIENCE).await.unwrap();
}

async fn status(projections: &Projections) -> ProjectionStatus {
    projections.status().await.unwrap().remove(0)
}

/// Waits until no rebuild is in progress.
async fn rebuilt(projections: &Projections) {
    within("the rebuild", async {
        while status(projections).await.rebuild.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// All positions of what was applied.
fn positions(applied: Applied) -> BTreeSet<i64> {
    applied.into_iter().flat_map(|(_, positions)| positions).collect()
}

/// A view of 1,000 events, and a rebuild of it that gets no further than the first 500.
async fn stuck_rebuild<L: Ledger>(ledger: &L, world: &World) -> (Picky<L>, Projections) {
    let picky = Picky::bad([]);
    let last = world.record(1..=1000).await;
    let projections = ledger.start(world, picky.clone()).await;
    seen::<L>(&projections, last).await;
    picky.free_until(500);
    let rebuild = projections.named("picky").unwrap().rebuild(RebuildOptions::default());
    let mut progress = rebuild.progress();
    rebuild.detach();
    within("the rebuild to get stuck", progress.wait_for(|progress| progress.done > 200)).await.unwrap();
    (picky, projections)
}

async fn a_rebuild_that_a_crash_interrupted_goes_on_where_it_was<L: Ledger>() {
    let (ledger, world) = (L::make().await, World::new());
    let (picky, projections) = stuck_rebuild(&ledger, &world).await;
    drop(projections);

    picky.free_until(u64::MAX);
    let before = picky.seen();
    let projections = ledger.start(&world, picky.clone()).await;
    rebuilt(&projections).await;
    let replayed = picky.seen() - before;
    assert!((500..800).contains(&replayed), "{replayed} events were replayed");
    let last = world.record(1001..=1010).await;
    seen::<L>(&projections, last).await;
    assert_eq!(positions(ledger.applied(&projections).await), (1..=1010).collect());
    assert_eq!(ledger.instances().await, 1);
}

async fn a_paused_rebuild_stays_paused_and_can_be_cancelled<L: Ledger>() {
    let (ledger, world) = (L::make().await, World::new());
    let (picky, projections) = stuck_rebuild(&ledger, &world).await;
    let control = projections.named("picky").unwrap();
    assert!(control.pause_rebuild());
    picky.permits.add_permits(200);
    let paused = async {
        while !status(&projections).await.rebuild.unwrap().paused {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within("the rebuild to pause", paused).await;
    assert!(projections.shutdown().await);

    picky.free_until(u64::MAX);
    let projections = ledger.start(&world, picky.clone()).await;
    let before = picky.seen();
    let progress = status(&projections).await.rebuild.unwrap();
    assert_eq!(ledger.instances().await, 2, "{progress}");
    let again = projections.named("picky").unwrap();
    let twice = again.rebuild(RebuildOptions::default()).await.unwrap_err();
    assert_eq!(twice, RebuildError::InProgress { name: "picky".to_owned() });
    assert_eq!(picky.seen(), before);
    assert!(again.cancel_rebuild());
    rebuilt(&projections).await;
    assert_eq!(ledger.instances().await, 1);
    assert!(projections.shutdown().await);
    let projections = ledger.start(&world, picky).await;
    assert_eq!(status(&projections).await.rebuild, None);
}

async fn one_can_roll_back_also_after_a_restart_until_it_is_released<L: Ledger>() {
    let (ledger, world) = (L::make().await, World::new());
    // What a view makes of an event that it may not apply is that it lacks it: so one can tell the two apart.
    let picky = Picky::<L>::bad([7]);
    let last = world.record(1..=10).await;
    let projections = ledger.start(&world, picky.clone()).await;
    seen::<L>(&projections, last).await;
    let control = projections.named("picky").unwrap();
    assert_eq!(control.discard_parked("account-0", Position::MAX).await, Ok(1));
    picky.mend();
    control.rebuild(RebuildOptions::default().keep_previous()).await.unwrap();
    assert_eq!(positions(ledger.applied(&projections).await), (1..=10).collect());
    let last = world.record(11..=20).await;
    seen::<L>(&projections, last).await;
    assert!(projections.shutdown().await);

    let projections = ledger.start(&world, picky.clone()).await;
    assert_eq!(ledger.instances().await, 2);
    let control = projections.named("picky").unwrap();
    let back = control.roll_back().await.unwrap().await.unwrap();
    assert_eq!((back.cursor, back.events), (last, 10), "it had only to catch up");
    let without: BTreeSet<i64> = (1..=20).filter(|position| *position != 7).collect();
    assert_eq!(positions(ledger.applied(&projections).await), without);
    let last = world.record(21..=30).await;
    seen::<L>(&projections, last).await;

    // And forth again, and on.
    control.roll_back().await.unwrap().await.unwrap();
    let last = world.record(31..=40).await;
    seen::<L>(&projections, last).await;
    assert_eq!(positions(ledger.applied(&projections).await), (1..=40).collect());
    control.rebuild(RebuildOptions::default().keep_previous()).await.unwrap();
    assert_eq!(ledger.instances().await, 2, "at most one is kept");
    control.release_previous().await.unwrap();
    assert_eq!(ledger.instances().await, 1);
    let none = control.roll_back().await.unwrap_err();
    assert_eq!(none, RebuildError::NoPrevious { name: "picky".to_owned() });
    assert_eq!(positions(ledger.applied(&projections).await), (1..=40).collect());
}

/// Posts `amounts` in one transaction that ends at `cursor`.
async fn commit<D: Database>(
    model: &D::Model,
    amounts: impl IntoIterator<Item = i64> + Send,
    cursor: Cursor,
) -> Result<(), ModelError> {
    let (mut tx, _) = model.begin().await?;
    let amounts: Vec<_> = amounts.into_iter().collect();
    for cents in amounts {
        D::post(&mut tx, cents).await.unwrap();
    }
    D::Model::commit(tx, cursor).await
}

fn unfinished(paused: bool) -> Unfinished {
    serde_json::from_value(serde_json::json!({ "options": {}, "paused": paused, "program": 7 })).unwrap()
}

async fn a_complete_instance_that_was_not_yet_swapped_in_is_found_again<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=9).await);
    let model = database.open::<Entries<D>>().await;
    model.promote().await.unwrap();
    let shadow = model.shadow().await.unwrap();
    shadow.keep(unfinished(true)).await.unwrap();
    commit::<D>(&shadow, 1..=9, last).await.unwrap();
    shadow.keep(unfinished(false)).await.unwrap();
    drop((model, shadow));

    let model = database.open::<Entries<D>>().await;
    assert_eq!((model.is_live().await.unwrap(), database.instances().await), (true, 2));
    let (shadow, why) = model.kept().await.unwrap().remove(0);
    assert_eq!((why, shadow.cursor().await.unwrap()), (Kept::Rebuild(unfinished(false)), last));
    shadow.promote_keeping().await.unwrap();
    assert_eq!(D::live(&model).await, totals(9));
    // The answer may be lost: once more does no harm, nor does the end of the service.
    shadow.promote_keeping().await.unwrap();
    let model = database.open::<Entries<D>>().await;
    let kept = model.kept().await.unwrap();
    assert_eq!(kept.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Kept::Previous]);
    assert_eq!((D::live(&model).await, database.instances().await), (totals(9), 2));
}

async fn whoever_filled_an_instance_that_was_replaced_is_shut_out_of_it<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=9).await);
    let model = database.open::<Entries<D>>().await;
    model.promote().await.unwrap();
    // Another service, which has not written yet.
    let other = database.open::<Entries<D>>().await;
    other.cursor().await.unwrap();
    let shadow = model.shadow().await.unwrap();
    shadow.promote_keeping().await.unwrap();
    for writer in [&model, &other] {
        let fenced = refused(commit::<D>(writer, 1..=9, last).await);
        assert!(matches!(fenced, ModelError::Fenced { .. }), "{fenced:?}");
    }
    // Only whoever puts it back may fill it.
    let (previous, _) = shadow.kept().await.unwrap().remove(0);
    previous.cursor().await.unwrap();
    commit::<D>(&previous, 1..=9, last).await.unwrap();
    previous.promote_keeping().await.unwrap();
    assert_eq!((D::live(&model).await, database.instances().await), (totals(9), 2));
}

async fn another_version_removes_a_rebuild_and_keeps_what_is_live<D: Database>() {
    let database = D::make().await;
    let model = database.open::<Entries<D, 1>>().await;
    model.promote().await.unwrap();
    model.shadow().await.unwrap().promote_keeping().await.unwrap();
    model.shadow().await.unwrap().keep(unfinished(false)).await.unwrap();
    assert_eq!(database.instances().await, 3);
    let next = database.open::<Entries<D, 2>>().await;
    assert_eq!((next.kept().await.unwrap().len(), database.instances().await), (0, 3));
    next.promote().await.unwrap();
    assert_eq!(database.instances().await, 1, "what the old version kept goes with it");
}

macro_rules! contract {
    ($($kind:ident $in:ty: $($case:ident),*;)*) => {
        $(mod $kind {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<$in>().await; })*
        })*
    };
}

macro_rules! services {
    ($($kind:ident $in:ty;)*) => {
        contract!($($kind $in:
            a_rebuild_that_a_crash_interrupted_goes_on_where_it_was,
            a_paused_rebuild_stays_paused_and_can_be_cancelled,
            one_can_roll_back_also_after_a_restart_until_it_is_released;
        )*);
    };
}

macro_rules! models {
    ($($kind:ident $in:ty;)*) => {
        contract!($($kind $in:
            a_complete_instance_that_was_not_yet_swapped_in_is_found_again,
            whoever_filled_an_instance_that_was_replaced_is_shut_out_of_it,
            another_version_removes_a_rebuild_and_keeps_what_is_live;
        )*);
    };
}

services!(embedded InEmbedded; sqlite LedgerInSqlite; postgres LedgerInPostgres; partitions LedgerInPartitions<3>;);
models!(models_in_sqlite InSqlite; models_in_postgres InPostgres;);
