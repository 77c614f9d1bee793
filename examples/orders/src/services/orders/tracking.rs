//! How each order stands, for customers: a view in SQLite, of the integration events of all four services. Those of the
//! others are in the log as what they answered.

use annalist::{
    Recorded,
    projection::{ApplyError, Projection},
};
use annalist_sql::{
    SqlError, Sqlite, SqliteTx,
    sqlx::{self, FromRow, Row, sqlite::SqliteRow},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    errand::{ErrandEvent, Said, Topic},
    purchase::OrdersEvent,
};
use crate::domain::{Customer, OrderEvent, OrderId};

/// The view.
#[derive(Debug)]
pub struct Tracking;

impl Tracking {
    /// Its tables. Whoever changes them increments [`Projection::VERSION`].
    pub const TABLES: &str = "
        create table orders (
            number integer primary key,
            customer text not null,
            date text not null,
            cds integer not null,
            total_cents integer not null,
            status text not null,
            stock text,
            payment text,
            parcel text,
            why text
        );
        create index orders_of_customer on orders (customer, number);
    ";
}

/// How an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderStatus {
    /// Its number.
    pub number: i64,
    /// Who ordered.
    pub customer: String,
    /// When.
    pub date: String,
    /// How many CDs.
    pub cds: i64,
    /// What they cost.
    pub total_cents: i64,
    /// `placed`, `paid`, `shipped` or `cancelled`.
    pub status: String,
    /// What inventory says: `reserved`, `refused` or `released`.
    pub stock: Option<String>,
    /// What payments says: `charged`, `declined` or `refunded`.
    pub payment: Option<String>,
    /// What shipping says: `scheduled`, `refused` or `cancelled`.
    pub parcel: Option<String>,
    /// Why it was cancelled.
    pub why: Option<String>,
}

impl FromRow<'_, SqliteRow> for OrderStatus {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("number")?,
            customer: row.try_get("customer")?,
            date: row.try_get("date")?,
            cds: row.try_get("cds")?,
            total_cents: row.try_get("total_cents")?,
            status: row.try_get("status")?,
            stock: row.try_get("stock")?,
            payment: row.try_get("payment")?,
            parcel: row.try_get("parcel")?,
            why: row.try_get("why")?,
        })
    }
}

/// All orders together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrdersTotals {
    /// Orders placed.
    pub placed: u64,
    /// Orders that are neither shipped nor cancelled.
    pub open: u64,
    /// Orders shipped.
    pub shipped: u64,
    /// CDs of those.
    pub shipped_cds: u64,
    /// What those cost.
    pub shipped_cents: u64,
    /// Orders cancelled.
    pub cancelled: u64,
}

impl Projection for Tracking {
    const NAME: &'static str = "tracking";
    const VERSION: u32 = 1;
    type Event = OrdersEvent;
    type Model = Sqlite;

    async fn apply(&self, recorded: &Recorded<OrdersEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let number: OrderId = recorded.record.stream_id().identifier().parse()?;
        let number = i64::try_from(number.0)?;
        let update = match &recorded.event {
            OrdersEvent::Errand(ErrandEvent::Asked { .. }) => return Ok(()),
            &OrdersEvent::Order(OrderEvent::Placed { customer, date, cds, total }) => {
                let insert = "insert into orders (number, customer, date, cds, total_cents, status)
                              values (?, ?, ?, ?, ?, 'placed')";
                let insert = sqlx::query(insert).bind(number).bind(customer.to_string()).bind(date.to_string());
                insert.bind(cds).bind(i64::try_from(total.0)?).execute(tx.connection()).await?;
                return Ok(());
            }
            OrdersEvent::Order(OrderEvent::Paid { .. }) => {
                sqlx::query("update orders set status = ? where number = ?").bind("paid")
            }
            OrdersEvent::Order(OrderEvent::Shipped { .. }) => {
                sqlx::query("update orders set status = ? where number = ?").bind("shipped")
            }
            OrdersEvent::Order(OrderEvent::Cancelled { why, .. }) => {
                sqlx::query("update orders set status = 'cancelled', why = ? where number = ?").bind(why)
            }
            OrdersEvent::Errand(ErrandEvent::Answered { topic, said }) => answered(*topic, *said != Said::Done),
        };
        update.bind(number).execute(tx.connection()).await?;
        Ok(())
    }
}

type Update<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// What another service has answered.
fn answered(topic: Topic, refused: bool) -> Update<'static> {
    let (stock, payment, parcel) = (
        "update orders set stock = ? where number = ?",
        "update orders set payment = ? where number = ?",
        "update orders set parcel = ? where number = ?",
    );
    let (update, state) = match (topic, refused) {
        (Topic::Reserve, false) => (stock, "reserved"),
        (Topic::Reserve, true) => (stock, "refused"),
        (Topic::Release, _) => (stock, "released"),
        (Topic::Charge, false) => (payment, "charged"),
        (Topic::Charge, true) => (payment, "declined"),
        (Topic::Refund, _) => (payment, "refunded"),
        (Topic::Ship, false) => (parcel, "scheduled"),
        (Topic::Ship, true) => (parcel, "refused"),
        (Topic::CancelShipment, _) => (parcel, "cancelled"),
    };
    sqlx::query(update).bind(state)
}

/// How an order stands; `None` if there is none of this number, or it is not to be seen yet.
///
/// # Errors
/// [`SqlError`] when the view cannot be read.
pub(super) async fn status(view: &Sqlite, order: u64) -> Result<Option<OrderStatus>, SqlError> {
    let Ok(number) = i64::try_from(order) else { return Ok(None) };
    let query = sqlx::query_as("select * from orders where number = ?").bind(number);
    Ok(query.fetch_optional(view.read().await?.connection()).await?)
}

/// The orders of a customer, by number, at most `limit`.
///
/// # Errors
/// As [`status`].
pub(super) async fn of_customer(view: &Sqlite, customer: Customer, limit: u32) -> Result<Vec<OrderStatus>, SqlError> {
    let query = sqlx::query_as("select * from orders where customer = ? order by number limit ?");
    let query = query.bind(customer.to_string()).bind(limit);
    Ok(query.fetch_all(view.read().await?.connection()).await?)
}

/// All orders together.
///
/// # Errors
/// As [`status`].
pub(super) async fn totals(view: &Sqlite) -> Result<OrdersTotals, SqlError> {
    let query = "select status, count(*), sum(cds), sum(total_cents) from orders group by status";
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(query).fetch_all(view.read().await?.connection()).await?;
    let mut totals = OrdersTotals::default();
    for (status, orders, cds, cents) in rows {
        let [orders, cds, cents] = [orders, cds, cents].map(i64::unsigned_abs);
        totals.placed += orders;
        match status.as_str() {
            "shipped" => {
                (totals.shipped, totals.shipped_cds, totals.shipped_cents) = (orders, cds, cents);
            }
            "cancelled" => totals.cancelled = orders,
            _ => totals.open += orders,
        }
    }
    Ok(totals)
}
