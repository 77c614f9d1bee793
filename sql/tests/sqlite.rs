//! What is true of SQLite alone: its files, and other programs that read them.

mod support;

use annalist::projection::{Projection, ReadModel};
use annalist_sql::{SqlError, Sqlite, sqlx};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
use support::{Database, Entries, InSqlite, PATIENCE, World, refused, totals};

type Here = Entries<InSqlite>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_find_the_live_instance_under_one_name() {
    let (database, world) = (InSqlite::make().await, World::new());
    let model = database.open::<Here>().await;
    let projections = world.start(Here::NEW, model.clone()).await;
    let last = world.record(1..=30).await;
    projections.reached::<Here>(last, PATIENCE).await.unwrap();
    for _ in 0..2 {
        let file = SqliteConnectOptions::new().filename(database.0.path().join("live.db"));
        let mut stranger = file.connect().await.unwrap();
        let count: i64 = sqlx::query_scalar("select count(*) from entries").fetch_one(&mut stranger).await.unwrap();
        assert_eq!(count, 30);
        projections.rebuild::<Here>().await.unwrap();
        assert_eq!(database.instances().await, 1);
    }
    assert_eq!(InSqlite::live(&model).await, totals(30));
}

#[tokio::test]
async fn readers_cannot_write() {
    let database = InSqlite::make().await;
    let model = database.open::<Here>().await;
    model.promote().await.unwrap();
    let mut view = model.read().await.unwrap();
    let written = sqlx::query("insert into entries values (1)").execute(view.connection()).await.unwrap_err();
    assert!(written.to_string().contains("readonly"), "{written}");
}

#[tokio::test]
async fn what_a_crash_left_half_made_is_removed() {
    let database = InSqlite::make().await;
    drop(database.open::<Here>().await);
    for name in ["view-0.db", "live.db.next"] {
        std::fs::write(database.0.path().join(name), "").unwrap();
    }
    let model = database.open::<Here>().await;
    assert_eq!(database.instances().await, 1);
    model.promote().await.unwrap();
    assert!(model.is_live().await.unwrap());
}

#[tokio::test]
async fn files_from_before_are_completed() {
    let database = InSqlite::make().await;
    let model = database.open::<Here>().await;
    model.promote().await.unwrap();
    let mut connection =
        SqliteConnectOptions::new().filename(database.0.path().join("live.db")).connect().await.unwrap();
    sqlx::raw_sql("drop table annalist_note; drop table annalist_parked").execute(&mut connection).await.unwrap();
    let model = database.open::<Here>().await;
    assert!(model.is_live().await.unwrap());
    assert_eq!((model.kept().await.unwrap().len(), model.parked(None, 10).await.unwrap()), (0, vec![]));
}

#[tokio::test]
async fn a_view_that_was_replaced_is_not_taken_for_a_rebuild_of_it() {
    let database = InSqlite::make().await;
    let model = database.open::<Here>().await;
    let noted = "insert into annalist_note values ('rebuild', '{\"rebuild\":{\"options\":{},\"paused\":false}}')";
    model.promote().await.unwrap();
    // What a crash right behind a swap leaves.
    let mut connection =
        SqliteConnectOptions::new().filename(database.0.path().join("live.db")).connect().await.unwrap();
    sqlx::raw_sql(noted).execute(&mut connection).await.unwrap();
    let model = database.open::<Here>().await;
    assert_eq!(model.kept().await.unwrap().len(), 0);
    let count: i64 = sqlx::query_scalar("select count(*) from annalist_note").fetch_one(&mut connection).await.unwrap();
    assert_eq!(count, 0);
    model.shadow().await.unwrap().promote().await.unwrap();
    assert_eq!((model.kept().await.unwrap().len(), database.instances().await), (0, 1));
}

struct Other;

impl Projection for Other {
    const NAME: &'static str = "other";
    const VERSION: u32 = 1;
    type Event = support::AccountEvent;
    type Model = Sqlite;

    async fn apply(
        &self,
        _: &annalist::Recorded<support::AccountEvent>,
        _: &mut annalist_sql::SqliteTx,
    ) -> Result<(), annalist::projection::ApplyError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_folder_belongs_to_one_projection() {
    let database = InSqlite::make().await;
    drop(database.open::<Here>().await);
    let error = refused(database.open_with::<Other>("").await);
    assert!(matches!(&error, SqlError::Occupied { found, .. } if found == "entries"), "{error:?}");
    assert_eq!(database.instances().await, 1);
}
