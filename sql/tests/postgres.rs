//! What is true of PostgreSQL alone: it is another process, which may be killed, and others use it too.

mod support;

use std::time::Duration;

use annalist::projection::{ModelError, ParkedError, ProjectionState, ReadModel, RebuildOptions, ViewError};
use annalist_core::Cursor;
use annalist_sql::{Postgres, SqlError, sqlx};
use support::{
    Database, Entries, InPostgres, Ledger, LedgerInPostgres, PATIENCE, Picky, World, only_one_is_left, refused,
    state_when, totals, within,
};

type Here = Entries<InPostgres>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_goes_on_when_the_server_is_killed_and_comes_back() {
    let (mut database, mut world) = (InPostgres::make().await, World::new());
    // An outage is longer than attempts last: it does not use them up.
    world.options.attempts_max = 2;
    let model = database.open::<Here>().await;
    let projections = world.start(Here::NEW, model.clone()).await;
    let mut last = world.record(1..=100).await;
    projections.reached::<Here>(last, PATIENCE).await.unwrap();
    for round in 1..=3 {
        let recorder = world.clone();
        let (from, to) = (round * 400 - 299, round * 400 + 100);
        let recording = tokio::spawn(async move {
            let mut last = Cursor::START;
            for first in (from..=to).step_by(10) {
                last = recorder.record(first..first + 10).await;
                tokio::task::yield_now().await;
            }
            last
        });
        // In the middle of it, as far as the test can tell.
        let passed = async {
            while projections.status().await.unwrap()[0].cursor.position.get() < from.unsigned_abs() + 50 {
                tokio::task::yield_now().await;
            }
        };
        within("the projection", passed).await;
        database.0.kill();
        last = recording.await.unwrap();
        assert!(!projections.status().await.unwrap()[0].state.to_string().starts_with("failed"));
        database.0.restart().await;
    }
    projections.reached::<Here>(last, PATIENCE).await.unwrap();
    assert_eq!(within("a reader", InPostgres::live(&model)).await, totals(1300));
    assert_eq!(model.cursor().await.unwrap(), last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_on_when_the_server_is_killed_and_comes_back() {
    let (mut database, world) = (InPostgres::make().await, World::new());
    let model = database.open::<Here>().await;
    let last = world.record(1..=900).await;
    let projections = world.start(Here::NEW, model.clone()).await;
    projections.reached::<Here>(last, PATIENCE).await.unwrap();
    let rebuild = projections.rebuild::<Here>();
    let mut progress = rebuild.progress();
    within("the rebuild to begin", progress.wait_for(|progress| progress.done > 0)).await.unwrap();
    database.0.kill();
    database.0.restart().await;
    within("the rebuild", rebuild).await.unwrap();
    assert_eq!(InPostgres::live(&model).await, totals(900));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_keeps_what_it_reads_and_does_not_hold_up_a_swap() {
    let (database, last) = (InPostgres::make().await, World::new().record(1..=3).await);
    let model = database.open::<Here>().await;
    model.promote().await.unwrap();
    let mut reader = model.read().await.unwrap();
    let shadow = model.shadow().await.unwrap();
    let (mut tx, _) = shadow.begin().await.unwrap();
    InPostgres::post(&mut tx, 1).await.unwrap();
    Postgres::commit(tx, last).await.unwrap();
    shadow.promote().await.unwrap();
    assert_eq!((InPostgres::totals(&mut reader).await.unwrap(), database.instances().await), ((0, 0), 2));
    assert_eq!(InPostgres::live(&model).await, totals(1));
    drop(reader);
    // What could not be removed under the reader's eyes is removed when the view is next opened.
    only_one_is_left(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_falls_silent_does_not_keep_the_next_one_out() {
    let (database, last) = (InPostgres::make().await, World::new().record(1..=3).await);
    let (silent, next) = (database.open::<Here>().await, database.open::<Here>().await);
    let (tx, _) = silent.begin().await.unwrap();
    // It waits for a while, and says that it is worth trying again.
    let busy = refused(next.begin().await);
    assert!(matches!(busy, ModelError::Unavailable(_)), "{busy:?}");
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'";
    sqlx::query(ended).execute(&mut database.0.connection().await).await.unwrap();
    let (mut taken, _) = within("the lock", next.begin()).await.unwrap();
    InPostgres::post(&mut taken, 1).await.unwrap();
    Postgres::commit(taken, last).await.unwrap();
    assert!(matches!(refused(Postgres::commit(tx, last).await), ModelError::Unavailable(_)));
    next.promote().await.unwrap();
    assert_eq!(InPostgres::live(&next).await, totals(1));
}

#[tokio::test]
async fn many_services_may_start_at_once() {
    let database = InPostgres::make().await;
    let opened = tokio::join!(database.open::<Here>(), database.open::<Here>(), database.open::<Here>());
    assert_eq!(database.instances().await, 1);
    opened.0.promote().await.unwrap();
    assert!(opened.1.is_live().await.unwrap() && opened.2.is_live().await.unwrap());
}

#[tokio::test]
async fn the_tables_of_others_stay_in_sight() {
    let database = InPostgres::make().await;
    let rates = "create table public.rates (currency text, rate float8); insert into rates values ('EUR', 1.0)";
    sqlx::raw_sql(rates).execute(&mut database.0.connection().await).await.unwrap();
    let model = database.open::<Here>().await;
    model.promote().await.unwrap();
    let mut view = model.read().await.unwrap();
    let joined = "select count(*) from rates left join entries on true";
    let rows: i64 = sqlx::query_scalar(joined).fetch_one(view.connection()).await.unwrap();
    assert_eq!(rows, 1);
    let written = sqlx::query("insert into entries values (1)").execute(view.connection()).await.unwrap_err();
    assert!(written.to_string().contains("read-only transaction"), "{written}");
}

#[tokio::test]
async fn nobody_at_the_address_is_said_at_once() {
    let address = "postgres://nobody@localhost/postgres?host=/nonexistent";
    let error = refused(Postgres::at::<Here>(address, "").unwrap().connect().await);
    assert!(matches!(error, SqlError::Unavailable(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_starts_without_the_server_and_goes_on_when_it_comes() {
    let (mut database, world) = (LedgerInPostgres::make().await, World::new());
    let picky = Picky::bad([9]);
    let last = world.record(1..=1000).await;
    let projections = database.start(&world, picky.clone()).await;
    projections.reached::<Picky<LedgerInPostgres>>(last, PATIENCE).await.unwrap();
    picky.mend();
    picky.free_until(500);
    let control = projections.named("picky").unwrap();
    let rebuild = control.rebuild(RebuildOptions::default());
    let begun = async { rebuild.progress().wait_for(|progress| progress.done > 0).await.map(drop) };
    within("the rebuild to begin", begun).await.unwrap();
    rebuild.detach();
    drop((projections, control));
    database.0.kill();

    picky.free_until(u64::MAX);
    let last = world.record(1001..=1100).await;
    let projections = database.start(&world, picky).await;
    let control = projections.named("picky").unwrap();
    let status = control.status().await.unwrap();
    assert!(status.to_string().starts_with("picky v1: waiting for its store since 2"), "{status}");
    let unavailable = projections.reached::<Picky<LedgerInPostgres>>(last, Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(unavailable, ViewError::Unavailable { .. }), "{unavailable:?}");
    assert!(matches!(refused(database.model().read().await), SqlError::Unavailable(_)));
    let parked = control.parked(None, 10).await.unwrap_err();
    assert!(matches!(parked, ParkedError::OutOfReach { .. }), "{parked:?}");

    database.0.restart().await;
    projections.reached::<Picky<LedgerInPostgres>>(last, PATIENCE).await.unwrap();
    // The rebuild that was interrupted goes on too.
    within("the rebuild", async {
        while database.instances().await > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let applied = database.applied(&projections).await;
    let positions: Vec<_> = applied.into_iter().flat_map(|(_, positions)| positions).collect();
    assert_eq!(positions.len(), 1100, "each once, and none is parked any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_shows_in_the_status_until_it_is_over() {
    let (mut database, world) = (InPostgres::make().await, World::new());
    let model = database.open::<Here>().await;
    let projections = world.start(Here::NEW, model.clone()).await;
    let last = world.record(1..=10).await;
    projections.reached::<Here>(last, PATIENCE).await.unwrap();
    database.0.kill();
    let last = world.record(11..=20).await;
    let waiting = |state: &ProjectionState| matches!(state, ProjectionState::Waiting { .. });
    let state = state_when(&projections, "the projection to wait", waiting).await;
    assert!(state.to_string().starts_with("waiting for its store since 2"), "{state}");
    database.0.restart().await;
    projections.reached::<Here>(last, PATIENCE).await.unwrap();
    state_when(&projections, "the projection to be live", |state| *state == ProjectionState::Live).await;
    assert_eq!(InPostgres::live(&model).await, totals(20));
}

#[tokio::test]
async fn tables_of_ours_from_before_are_completed() {
    let database = InPostgres::make().await;
    let model = database.open::<Here>().await;
    model.promote().await.unwrap();
    let before = "drop table annalist.parked, annalist.partitions; alter table annalist.views drop column kept";
    sqlx::raw_sql(before).execute(&mut database.0.connection().await).await.unwrap();
    let model = database.open::<Here>().await;
    assert!(model.is_live().await.unwrap());
    assert_eq!((model.kept().await.unwrap().len(), model.parked(None, 10).await.unwrap()), (0, vec![]));
}
