//! The view of [`Spending`](crate::Spending) as rows in SQL: two statements for each transaction, whatever it brings. And one that
//! needs a statement for each event.

use std::collections::BTreeMap;

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

/// What the events of a transaction come to: cents by customer, events by name.
type Sums = (BTreeMap<String, i64>, BTreeMap<String, i64>);

fn sums(events: &[Recorded<OrderEvent>]) -> Result<Sums, ApplyError> {
    let (mut spent, mut counted) = Sums::default();
    for event in events {
        let (name, customer, cents) = event.event.parts()?;
        *spent.entry(customer.to_owned()).or_default() += cents;
        *counted.entry(name.to_owned()).or_default() += 1;
    }
    Ok((spent, counted))
}

/// From JSON, because SQLite has no arrays.
const SPENT_IN_ALL: &str = "insert into spent (customer, cents) select key, value from json_each($1) where true \
                            on conflict (customer) do update set cents = spent.cents + excluded.cents";
const COUNTED_IN_ALL: &str = "insert into events (name, count) select key, value from json_each($1) where true \
                              on conflict (name) do update set count = events.count + excluded.count";

/// The same from arrays.
const SPENT_BY_ARRAYS: &str = "insert into spent (customer, cents) select * from unnest($1::text[], $2::bigint[]) \
                               on conflict (customer) do update set cents = spent.cents + excluded.cents";
const COUNTED_BY_ARRAYS: &str = "insert into events (name, count) select * from unnest($1::text[], $2::bigint[]) \
                                 on conflict (name) do update set count = events.count + excluded.count";

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
    const APPLIES_ALL: bool = true;

    async fn apply(&self, event: &Recorded<OrderEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let (name, customer, cents) = event.event.parts()?;
        sqlx::query(SPENT).bind(customer).bind(cents).execute(tx.connection()).await?;
        sqlx::query(COUNTED).bind(name).execute(tx.connection()).await?;
        Ok(())
    }

    async fn apply_all(&self, events: &[Recorded<OrderEvent>], tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let (spent, counted) = sums(events)?;
        for (statement, sums) in [(SPENT_IN_ALL, spent), (COUNTED_IN_ALL, counted)] {
            sqlx::query(statement).bind(serde_json::to_string(&sums)?).execute(tx.connection()).await?;
        }
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
    const APPLIES_ALL: bool = true;

    async fn apply(&self, event: &Recorded<OrderEvent>, tx: &mut PostgresTx) -> Result<(), ApplyError> {
        let (name, customer, cents) = event.event.parts()?;
        sqlx::query(SPENT).bind(customer).bind(cents).execute(tx.connection()).await?;
        sqlx::query(COUNTED).bind(name).execute(tx.connection()).await?;
        Ok(())
    }

    async fn apply_all(&self, events: &[Recorded<OrderEvent>], tx: &mut PostgresTx) -> Result<(), ApplyError> {
        let (spent, counted) = sums(events)?;
        for (statement, sums) in [(SPENT_BY_ARRAYS, spent), (COUNTED_BY_ARRAYS, counted)] {
            let (names, numbers): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
            sqlx::query(statement).bind(names).bind(numbers).execute(tx.connection()).await?;
        }
        Ok(())
    }
}

/// A row for each stream, written event by event, in so many transactions at the same time: what a projection does that nobody
/// wrote [`Projection::apply_all`] for.
#[derive(Clone, Copy, Debug)]
pub struct OrdersInPostgres<const PARTITIONS: u16>;

/// Its table.
pub const ORDERS_TABLES: &str =
    "create table orders (stream text primary key, cents bigint not null, events bigint not null)";

/// How many events it has counted.
pub const ORDERS_COUNTED: &str = "select cast(coalesce(sum(events), 0) as bigint) from orders";

const ORDER: &str = "insert into orders values ($1, $2, 1) on conflict (stream) \
                     do update set cents = orders.cents + excluded.cents, events = orders.events + 1";

impl<const PARTITIONS: u16> Projection for OrdersInPostgres<PARTITIONS> {
    const NAME: &'static str = "orders-in-postgres";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Postgres;
    const PARTITIONS: u16 = PARTITIONS;

    async fn apply(&self, event: &Recorded<OrderEvent>, tx: &mut PostgresTx) -> Result<(), ApplyError> {
        let (_, _, cents) = event.event.parts()?;
        sqlx::query(ORDER).bind(event.record.stream()).bind(cents).execute(tx.connection()).await?;
        Ok(())
    }
}
