//! What is true of PostgreSQL alone: it is another process, which may be killed, and others use it too.

mod support;

use annalist::projection::{ModelError, ReadModel};
use annalist_core::Cursor;
use annalist_sql::{Postgres, SqlError, sqlx};
use support::{Database, Entries, InPostgres, PATIENCE, World, only_one_is_left, refused, totals, within};

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
    let mut tx = shadow.begin().await.unwrap();
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
    let tx = silent.begin().await.unwrap();
    // It waits for a while, and says that it is worth trying again.
    let busy = refused(next.begin().await);
    assert!(matches!(busy, ModelError::Unavailable(_)), "{busy:?}");
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'";
    sqlx::query(ended).execute(&mut database.0.connection().await).await.unwrap();
    let mut taken = within("the lock", next.begin()).await.unwrap();
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
    let error = refused(Postgres::connect::<Here>(address, "").await);
    assert!(matches!(error, SqlError::Unavailable(_)), "{error:?}");
}
