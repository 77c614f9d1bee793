//! What every read model promises: each case runs on each kind of database.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the cases are tests, though macros make them so")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use annalist::{
    Recorded,
    projection::{ApplyError, ModelError, Projection, ReadModel},
};
use annalist_core::{Cursor, Position};
use annalist_sql::SqlError;
use support::{
    AccountEvent, Database, Entries, InPartitions, InPostgres, InSqlite, PATIENCE, REFUSED, World, failed,
    only_one_is_left, refused, state_when, totals, within,
};

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

async fn rows_and_cursor_change_together_or_not_at_all<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=3).await);
    let model = database.open::<Entries<D>>().await;
    model.promote().await.unwrap();
    let (mut dropped, _) = model.begin().await.unwrap();
    D::post(&mut dropped, 7).await.unwrap();
    drop(dropped);
    assert_eq!((model.cursor().await.unwrap(), D::live(&model).await), (Cursor::START, (0, 0)));

    commit::<D>(&model, 1..=3, last).await.unwrap();
    assert_eq!((model.cursor().await.unwrap(), D::live(&model).await), (last, totals(3)));
    drop(model);
    let model = database.open::<Entries<D>>().await;
    assert_eq!((model.cursor().await.unwrap(), D::live(&model).await), (last, totals(3)));
    assert_eq!(database.instances().await, 1);
}

async fn what_was_never_complete_is_not_read<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=3).await);
    let model = database.open::<Entries<D>>().await;
    commit::<D>(&model, 1..=3, last).await.unwrap();
    assert!(!model.is_live().await.unwrap());
    assert!(matches!(refused(D::read(&model).await), SqlError::Building { projection: "entries" }));
    // A service that ended before it was complete goes on filling the same instance.
    let model = database.open::<Entries<D>>().await;
    assert_eq!(model.cursor().await.unwrap(), last);
    model.promote().await.unwrap();
    assert!(model.is_live().await.unwrap());
    assert_eq!(D::live(&model).await, totals(3));
}

async fn an_instance_comes_into_place_in_one_step<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=200).await);
    let model = database.open::<Entries<D>>().await;
    commit::<D>(&model, 1..=100, last.at(Position::new(100))).await.unwrap();
    model.promote().await.unwrap();

    let mut before = D::read(&model).await.unwrap();
    let (swapped, reader) = (Arc::new(AtomicBool::new(false)), model.clone());
    let seen = Arc::clone(&swapped);
    let reading = tokio::spawn(async move {
        let (mut old, mut new) = (0, 0);
        while new < 20 {
            let after = seen.load(Ordering::SeqCst);
            match D::live(&reader).await {
                all if all == totals(200) => new += 1,
                all => {
                    assert_eq!(all, totals(100));
                    assert!(!after, "the old one was seen after the swap");
                    old += 1;
                }
            }
        }
        old
    });
    let shadow = model.shadow().await.unwrap();
    assert_eq!((shadow.cursor().await.unwrap(), shadow.is_live().await.unwrap()), (Cursor::START, false));
    commit::<D>(&shadow, 1..=200, last).await.unwrap();
    assert_eq!(database.instances().await, 2);
    shadow.promote().await.unwrap();
    swapped.store(true, Ordering::SeqCst);
    assert!(within("readers", reading).await.unwrap() > 0, "nobody read while the other one was being filled");

    // Whoever was reading goes on seeing what he saw; the old instance goes when nobody does.
    assert_eq!(D::totals(&mut before).await.unwrap(), totals(100));
    drop(before);
    assert!(shadow.is_live().await.unwrap() && !model.is_live().await.unwrap());
    // Its writer is told so, be it a projection of another service.
    let fenced = refused(commit::<D>(&model, [], last).await);
    assert!(matches!(fenced, ModelError::Fenced { .. }), "{fenced:?}");
    // It is promoted already: that does no harm.
    shadow.promote().await.unwrap();
    only_one_is_left(&database).await;
}

async fn what_is_discarded_leaves_no_trace<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=3).await);
    let model = database.open::<Entries<D>>().await;
    model.promote().await.unwrap();
    let shadow = model.shadow().await.unwrap();
    commit::<D>(&shadow, 1..=3, last).await.unwrap();
    shadow.discard().await.unwrap();
    shadow.discard().await.unwrap();
    assert!(matches!(refused(shadow.promote().await), ModelError::Fenced { .. }));
    assert_eq!((database.instances().await, D::live(&model).await), (1, (0, 0)));
    refused(model.discard().await);

    // So does what a crash left behind, when the view is next opened.
    model.shadow().await.unwrap();
    let model = database.open::<Entries<D>>().await;
    assert_eq!((database.instances().await, model.is_live().await.unwrap()), (1, true));
}

async fn the_later_of_two_writers_goes_on_and_the_other_stops<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=9).await);
    let at = |position| last.at(Position::new(position));
    let (first, second) = (database.open::<Entries<D>>().await, database.open::<Entries<D>>().await);
    first.promote().await.unwrap();
    commit::<D>(&first, 1..=3, at(3)).await.unwrap();
    // The second has not seen that: it may not apply the same again.
    let moved = refused(commit::<D>(&second, 1..=3, at(3)).await);
    assert!(matches!(moved, ModelError::Moved { known: Cursor::START, found } if found == at(3)), "{moved:?}");
    assert_eq!(second.cursor().await.unwrap(), at(3));
    commit::<D>(&second, 4..=6, at(6)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(first.cursor().await.unwrap(), at(6));
        let fenced = refused(commit::<D>(&first, 7..=9, at(9)).await);
        assert!(matches!(fenced, ModelError::Fenced { .. }), "{fenced:?}");
    }
    commit::<D>(&second, 7..=9, at(9)).await.unwrap();
    assert_eq!(D::live(&second).await, totals(9));
}

async fn another_version_fills_an_instance_of_its_own<D: Database>() {
    let (database, last) = (D::make().await, World::new().record(1..=3).await);
    let old = database.open::<Entries<D, 1>>().await;
    commit::<D>(&old, 1..=3, last).await.unwrap();
    old.promote().await.unwrap();
    let new = database.open::<Entries<D, 2>>().await;
    assert_eq!((new.cursor().await.unwrap(), database.instances().await), (Cursor::START, 2));
    assert!(matches!(refused(D::read(&new).await), SqlError::Building { .. }));
    // The program before finds its view again.
    drop(old);
    let old = database.open::<Entries<D, 1>>().await;
    assert_eq!((D::live(&old).await, old.cursor().await.unwrap()), (totals(3), last));
    let new = database.open::<Entries<D, 2>>().await;
    new.promote().await.unwrap();
    assert_eq!((D::live(&new).await, database.instances().await), ((0, 0), 1));
    assert!(matches!(refused(D::read(&old).await), SqlError::Building { .. }));
}

async fn tables_that_cannot_be_made_are_refused_without_a_trace<D: Database>() {
    let database = D::make().await;
    let tables = "create table entries (cents bigint not null); create tible mistake (id int)";
    let error = refused(database.open_with::<Entries<D>>(tables).await);
    assert!(matches!(error, SqlError::Tables { projection: "entries", .. }), "{error:?}");
    let model = database.open::<Entries<D>>().await;
    assert_eq!((database.instances().await, model.cursor().await.unwrap()), (1, Cursor::START));
}

async fn each_event_is_applied_once_though_the_service_is_dropped_midway<D: Database>() {
    let (database, world) = (D::make().await, World::new());
    let last = world.record(1..=500).await;
    for stop_at in [1, 100, 350, 490] {
        let projections = world.start(Entries::<D>::NEW, database.open::<Entries<D>>().await).await;
        // The first time it is not complete before the end.
        let seen = async {
            while projections.status().await.unwrap()[0].cursor.position.get() < stop_at {
                tokio::task::yield_now().await;
            }
        };
        within("the projection", seen).await;
        drop(projections);
    }
    let model = database.open::<Entries<D>>().await;
    let projections = world.start(Entries::<D>::NEW, model.clone()).await;
    projections.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
    assert_eq!(D::live(&model).await, totals(500));
    let last = world.record(501..=600).await;
    projections.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
    assert_eq!(D::live(&model).await, totals(600));
    assert!(projections.shutdown().await);
}

/// A model that loses the answer to every second commit.
#[derive(Clone)]
struct Forgetful<M>(M, Arc<AtomicU32>);

impl<M: ReadModel> ReadModel for Forgetful<M> {
    type Tx = (M::Tx, Arc<AtomicU32>);

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        self.0.cursor().await
    }
    async fn is_live(&self) -> Result<bool, ModelError> {
        self.0.is_live().await
    }
    async fn begin(&self) -> Result<(Self::Tx, Cursor), ModelError> {
        let (tx, cursor) = self.0.begin().await?;
        Ok(((tx, Arc::clone(&self.1)), cursor))
    }
    async fn commit((tx, commits): Self::Tx, cursor: Cursor) -> Result<(), ModelError> {
        M::commit(tx, cursor).await?;
        match commits.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => Err(ModelError::Unavailable("the connection broke".into())),
            _ => Ok(()),
        }
    }
    async fn shadow(&self) -> Result<Self, ModelError> {
        Ok(Self(self.0.shadow().await?, Arc::clone(&self.1)))
    }
    async fn promote(&self) -> Result<(), ModelError> {
        self.0.promote().await
    }
    async fn discard(&self) -> Result<(), ModelError> {
        self.0.discard().await
    }
}

struct EntriesOnce<D>(Entries<D>);

impl<D: Database> Projection for EntriesOnce<D> {
    const NAME: &'static str = "entries";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Forgetful<D::Model>;

    async fn apply(
        &self,
        event: &Recorded<AccountEvent>,
        tx: &mut <Self::Model as ReadModel>::Tx,
    ) -> Result<(), ApplyError> {
        self.0.apply(event, &mut tx.0).await
    }
}

async fn a_commit_whose_answer_was_lost_is_not_made_twice<D: Database>() {
    let (database, world) = (D::make().await, World::new());
    let model = database.open::<Entries<D>>().await;
    let commits = Arc::new(AtomicU32::new(0));
    let forgetful = Forgetful(model.clone(), Arc::clone(&commits));
    let projections = world.start(EntriesOnce(Entries::<D>::NEW), forgetful).await;
    for round in 1..=4 {
        let last = world.record((round * 50 - 49)..=(round * 50)).await;
        projections.reached::<EntriesOnce<D>>(last, PATIENCE).await.unwrap();
        assert_eq!(D::live(&model).await, totals(round * 50));
    }
    within("the rebuild", projections.rebuild::<EntriesOnce<D>>()).await.unwrap();
    assert_eq!(D::live(&model).await, totals(200));
    assert!(commits.load(Ordering::SeqCst) > 3, "several answers were lost");
}

async fn a_rebuild_goes_on_beside_readers_and_new_events<D: Database>() {
    let (database, world) = (D::make().await, World::new());
    let model = database.open::<Entries<D>>().await;
    let projections = world.start(Entries::<D>::NEW, model.clone()).await;
    let first = world.record(1..=300).await;
    projections.reached::<Entries<D>>(first, PATIENCE).await.unwrap();

    let mut rebuild = projections.rebuild::<Entries<D>>();
    let (mut recorded, mut seen) = (300, 300);
    let rebuilt = loop {
        tokio::select! {
            biased;
            rebuilt = &mut rebuild => break rebuilt.unwrap(),
            live = D::live(&model) => {
                assert_eq!(live, totals(live.0), "a whole number of events, each once");
                assert!((seen..=recorded).contains(&live.0), "{} after {seen}", live.0);
                seen = live.0;
                recorded += 1;
                world.record([recorded]).await;
            }
        }
    };
    assert!(rebuilt.events >= 300);
    let last = world.record([recorded + 1]).await;
    projections.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
    assert_eq!(D::live(&model).await, totals(recorded + 1));
    assert!(projections.shutdown().await);
    only_one_is_left(&database).await;
}

async fn an_event_that_cannot_be_applied_leaves_no_rows<D: Database>() {
    let (database, mut world) = (D::make().await, World::new());
    world.options.attempts_max = 2;
    let model = database.open::<Entries<D>>().await;
    let projections = world.start(Entries::<D>::NEW, model.clone()).await;
    let before = world.record(1..=20).await;
    projections.reached::<Entries<D>>(before, PATIENCE).await.unwrap();
    world.record((21..=25).chain([REFUSED, 99])).await;
    let state = state_when(&projections, "the projection to stop", failed).await;
    assert!(state.to_string().starts_with("failed at event 26"), "{state}");
    assert_eq!(D::live(&model).await, totals(25));
    assert_eq!(model.cursor().await.unwrap().position, Position::new(25));
}

async fn a_cursor_of_another_log_is_refused_until_the_view_is_rebuilt<D: Database>() {
    let (database, before, now) = (D::make().await, World::new(), World::new());
    let model = database.open::<Entries<D>>().await;
    let projections = before.start(Entries::<D>::NEW, model.clone()).await;
    let last = before.record(1..=30).await;
    projections.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
    assert!(projections.shutdown().await);

    let last = now.record(1..=50).await;
    let model = database.open::<Entries<D>>().await;
    let projections = now.start(Entries::<D>::NEW, model.clone()).await;
    let state = state_when(&projections, "the cursor to be refused", failed).await;
    assert!(state.to_string().contains("rebuild"), "{state}");
    assert_eq!(D::live(&model).await, totals(30));
    within("the rebuild", projections.rebuild::<Entries<D>>()).await.unwrap();
    projections.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
    assert_eq!(D::live(&model).await, totals(50));
}

async fn of_two_services_one_goes_on_and_nothing_is_applied_twice<D: Database>() {
    let (database, world) = (D::make().await, World::new());
    let first = world.start(Entries::<D>::NEW, database.open::<Entries<D>>().await).await;
    let last = world.record(1..=50).await;
    first.reached::<Entries<D>>(last, PATIENCE).await.unwrap();
    let model = database.open::<Entries<D>>().await;
    let second = world.start(Entries::<D>::NEW, model.clone()).await;
    let mut recorded = 50;
    let stopped = async {
        loop {
            recorded += 10;
            let last = world.record((recorded - 9)..=recorded).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let states = [&first, &second].map(|service| async { service.status().await.unwrap().remove(0).state });
            let [first, second] = states;
            if failed(&first.await) || failed(&second.await) {
                return last;
            }
        }
    };
    let last = within("one of the two to stop", stopped).await;
    let (one, other) =
        tokio::join!(first.reached::<Entries<D>>(last, PATIENCE), second.reached::<Entries<D>>(last, PATIENCE));
    assert_eq!(u32::from(one.is_ok()) + u32::from(other.is_ok()), 1, "{one:?} {other:?}");
    assert!(format!("{one:?}{other:?}").contains("another writer"), "{one:?} {other:?}");
    assert_eq!(D::live(&model).await, totals(recorded));
}

/// What is true also of a view that several transactions write at the same time.
macro_rules! in_partitions {
    ($($case:ident),* $(,)?) => {
        mod partitions {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::InPartitions<3>>().await; })*
        }
    };
}

in_partitions!(
    each_event_is_applied_once_though_the_service_is_dropped_midway,
    a_cursor_of_another_log_is_refused_until_the_view_is_rebuilt,
    of_two_services_one_goes_on_and_nothing_is_applied_twice,
);

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::InSqlite>().await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case::<super::InPostgres>().await; })*
        }
    };
}

contract!(
    rows_and_cursor_change_together_or_not_at_all,
    what_was_never_complete_is_not_read,
    an_instance_comes_into_place_in_one_step,
    what_is_discarded_leaves_no_trace,
    the_later_of_two_writers_goes_on_and_the_other_stops,
    another_version_fills_an_instance_of_its_own,
    tables_that_cannot_be_made_are_refused_without_a_trace,
    each_event_is_applied_once_though_the_service_is_dropped_midway,
    a_commit_whose_answer_was_lost_is_not_made_twice,
    a_rebuild_goes_on_beside_readers_and_new_events,
    an_event_that_cannot_be_applied_leaves_no_rows,
    a_cursor_of_another_log_is_refused_until_the_view_is_rebuilt,
    of_two_services_one_goes_on_and_nothing_is_applied_twice,
);
