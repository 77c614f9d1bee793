//! A log that was restored from a backup, and views in databases of their own, which were not.
#![allow(clippy::unwrap_used, reason = "the cases are tests, though macros make them so")]

#[path = "../../tests/shared/restoring.rs"]
mod restoring;
mod support;

use std::sync::Arc;

use annalist::projection::{ProjectionState, Projections};
use annalist_core::{Cursor, EventStore as _};
use annalist_store::Store;
use restoring::{back_up, restore};
use support::{Database, Entries, InPartitions, InPostgres, InSqlite, PATIENCE, World, failed, state_when, totals};
use tempfile::TempDir;

/// A store on disk, and where its backups are.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> (Store, World) {
        let store = Store::open(self.0.path().join("data")).unwrap();
        let world = World { log: Arc::new(store.clone()), ..World::new() };
        (store, world)
    }

    async fn back_up(&self, store: &Store) {
        back_up(store, &self.0.path().join("backups")).await;
    }

    fn restore(&self) {
        restore(&self.0.path().join("backups"), &self.0.path().join("data"), None);
    }
}

async fn seen<D: Database>(projections: &Projections, last: Cursor) {
    projections.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
}

async fn a_view_that_has_seen_no_more_than_was_restored_goes_on<D: Database>() {
    let (place, database) = (Place::new(), D::make().await);
    let (store, world) = place.open();
    let projections = world.start(Entries::<D>::NEW, database.open::<Entries<D>>().await).await;
    seen::<D>(&projections, world.record(1..=40).await).await;
    assert!(projections.shutdown().await);
    place.back_up(&store).await;
    world.record(41..=60).await;
    store.close().await.unwrap();
    place.restore();

    for (first, last) in [(41, 100), (101, 110)] {
        let (store, world) = place.open();
        let model = database.open::<Entries<D>>().await;
        let projections = world.start(Entries::<D>::NEW, model.clone()).await;
        seen::<D>(&projections, world.record(first..=last).await).await;
        assert_eq!(D::live(&model).await, totals(last), "each of the new log once");
        assert!(projections.shutdown().await);
        store.close().await.unwrap();
    }
}

async fn a_view_that_has_seen_what_was_lost_says_so_keeps_its_rows_and_is_rebuilt<D: Database>() {
    let (place, database) = (Place::new(), D::make().await);
    let (store, world) = place.open();
    let projections = world.start(Entries::<D>::NEW, database.open::<Entries<D>>().await).await;
    // A backup under load: the service records and the view follows.
    let ((), recorded) = tokio::join!(place.back_up(&store), async {
        world.record(1..=20).await;
        world.record(21..=40).await
    });
    seen::<D>(&projections, recorded).await;
    let lost = world.record(41..=60).await;
    seen::<D>(&projections, lost).await;
    assert!(projections.shutdown().await);
    store.close().await.unwrap();
    place.restore();

    let (store, world) = place.open();
    let kept = i64::try_from(store.head().await.unwrap().position.get()).unwrap();
    // More than were lost, so that positions alone would not tell.
    let last = world.record(1001..=1100).await;
    let model = database.open::<Entries<D>>().await;
    let projections = world.start(Entries::<D>::NEW, model.clone()).await;
    let state = state_when(&projections, "the view to say that it is foreign", failed).await;
    let head = store.head().await.unwrap();
    assert_eq!(
        state.to_string(),
        format!(
            "foreign, to be rebuilt: the cursor {lost} does not belong to this log, whose head is {head}: another store, or one \
             restored from a backup that ends before what the cursor has seen; rebuild the view, or re-read the broker's last \
             message"
        )
    );
    assert_eq!(D::live(&model).await, totals(60), "it answers as before");
    assert_eq!(model_cursor::<D>(&model).await, lost, "and takes nothing in");

    assert_eq!(projections.rebuild::<Entries<D>>().await.unwrap().events, u64::try_from(kept).unwrap() + 100);
    let (rows, sum) = totals(kept);
    let expected = (rows + 100, sum + (1001..=1100).sum::<i64>());
    assert_eq!(D::live(&model).await, expected);
    seen::<D>(&projections, last).await;
    let last = world.record([7]).await;
    seen::<D>(&projections, last).await;
    assert_eq!(D::live(&model).await, (expected.0 + 1, expected.1 + 7));
    state_when(&projections, "the view to be live", |state| *state == ProjectionState::Live).await;
    assert!(projections.shutdown().await);
    store.close().await.unwrap();
}

async fn model_cursor<D: Database>(model: &D::Model) -> Cursor {
    use annalist::projection::ReadModel as _;
    model.cursor().await.unwrap()
}

macro_rules! cases {
    ($($database:ident: $type:ty),* $(,)?) => {
        $(mod $database {
            #[allow(unused_imports, reason = "one of them is needed for each kind of database")]
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_view_that_has_seen_no_more_than_was_restored_goes_on() {
                super::a_view_that_has_seen_no_more_than_was_restored_goes_on::<$type>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_view_that_has_seen_what_was_lost_says_so_keeps_its_rows_and_is_rebuilt() {
                super::a_view_that_has_seen_what_was_lost_says_so_keeps_its_rows_and_is_rebuilt::<$type>().await;
            }
        })*
    };
}

cases!(sqlite: InSqlite, postgres: InPostgres, partitions: InPartitions<4>);
