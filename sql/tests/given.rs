//! `given_view`: projections into SQL tested without a store, a service or a file.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod support;

use std::sync::atomic::{AtomicI64, Ordering};

use annalist::{
    Recorded,
    projection::{ApplyError, Projection},
};
use annalist_sql::{
    Sqlite, SqliteTx, sqlx,
    testing::{given_view, given_view_at},
};
use support::{AccountEvent, Entries, InPostgres, InSqlite, REFUSED, Server};

const TABLES: &str = "create table entries (cents bigint not null)";
const SUM: &str = "select cast(sum(cents) as bigint) from entries";

fn posted(cents: i64) -> AccountEvent {
    AccountEvent::Posted { cents }
}

#[tokio::test]
async fn given_events_then_rows() {
    let sum = given_view(Entries::<InSqlite>::NEW, TABLES, [("account-alice", posted(50)), ("account-bob", posted(7))])
        .replayed_twice()
        .then(async |rows| sqlx::query_scalar::<_, i64>(SUM).fetch_one(rows).await.unwrap())
        .await;
    assert_eq!(sum, 57);
}

#[tokio::test]
async fn given_events_then_rows_in_postgres_where_nothing_is_left() {
    let server = Server::start().await;
    for _ in 0..2 {
        given_view_at(&server.url(), Entries::<InPostgres>::NEW, TABLES, [posted(50), posted(7)])
            .replayed_twice()
            .then(async |rows| {
                let sum: i64 = sqlx::query_scalar(SUM).fetch_one(&mut *rows).await.unwrap();
                let count: i64 = sqlx::query_scalar("select count(*) from entries").fetch_one(rows).await.unwrap();
                assert_eq!((sum, count), (57, 2));
            })
            .await;
    }
    let schemas = "select count(*) from pg_namespace where nspname like 'given%' or nspname = 'annalist'";
    let schemas: i64 = sqlx::query_scalar(schemas).fetch_one(&mut server.connection().await).await.unwrap();
    assert_eq!(schemas, 0);
}

/// What a test said that failed.
async fn message(test: impl Future<Output = ()> + 'static) -> String {
    let local = tokio::task::LocalSet::new();
    let panic = local.run_until(async { tokio::task::spawn_local(test).await.unwrap_err().into_panic() }).await;
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_fails_the_test() {
    let failing = given_view(Entries::<InSqlite>::NEW, TABLES, [posted(1), posted(REFUSED)]);
    let said = message(failing.then(async |_| ())).await;
    assert_eq!(said, "cannot apply money-posted at position 2 of account-1: refused");
}

/// Counts for itself, instead of in its rows.
#[derive(Default)]
struct Stateful(AtomicI64);

impl Projection for Stateful {
    const NAME: &'static str = "stateful";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Sqlite;

    async fn apply(&self, _: &Recorded<AccountEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        sqlx::query("insert into entries values (?)").bind(count).execute(tx.connection()).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_with_a_memory_of_its_own_is_found_out() {
    let stateful = given_view(Stateful::default(), TABLES, [posted(1)]).replayed_twice();
    let said = message(stateful.then(async |_| ())).await;
    assert!(said.starts_with("`stateful` gives other rows when it is replayed"), "{said}");
    assert!(said.contains("first:  entries 0") && said.contains("second: entries 1"), "{said}");
}
