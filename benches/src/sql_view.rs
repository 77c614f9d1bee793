//! The view of [`Spending`](crate::Spending) as rows in SQL: two statements for each event.

use annalist::{
    Recorded,
    projection::{ApplyError, Projection},
};
use annalist_sql::{Postgres, PostgresTx, Sqlite, SqliteTx, sqlx};

use crate::OrderEvent;

/// The tables, for both kinds of database.
pub const SPENDING_TABLES: &str = "
    create table spent (customer text primary key, cents bigint not null);
    create table events (name text primary key, count bigint not null);
";

/// How many events a view has counted.
pub const SPENDING_COUNTED: &str = "select cast(coalesce(sum(count), 0) as bigint) from events";

const SPENT: &str = "insert into spent (customer, cents) values ($1, $2) \
                     on conflict (customer) do update set cents = spent.cents + excluded.cents";
const COUNTED: &str = "insert into events (name, count) values ($1, 1) \
                       on conflict (name) do update set count = events.count + 1";

/// The projection that keeps the view in SQLite.
#[derive(Clone, Copy, Debug)]
pub struct SpendingInSqlite;

impl Projection for SpendingInSqlite {
    const NAME: &'static str = "spending-in-sqlite";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Sqlite;

    async fn apply(&self, event: &Recorded<OrderEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let (name, customer, cents) = event.event.parts()?;
        sqlx::query(SPENT).bind(customer).bind(cents).execute(tx.connection()).await?;
        sqlx::query(COUNTED).bind(name).execute(tx.connection()).await?;
        Ok(())
    }
}

/// The projection that keeps the view in PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub struct SpendingInPostgres;

impl Projection for SpendingInPostgres {
    const NAME: &'static str = "spending-in-postgres";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Postgres;

    async fn apply(&self, event: &Recorded<OrderEvent>, tx: &mut PostgresTx) -> Result<(), ApplyError> {
        let (name, customer, cents) = event.event.parts()?;
        sqlx::query(SPENT).bind(customer).bind(cents).execute(tx.connection()).await?;
        sqlx::query(COUNTED).bind(name).execute(tx.connection()).await?;
        Ok(())
    }
}
