//! The read models: what the shop wants to know, kept up to date event by event. Each can be rebuilt from the log.

use annalist::{
    Recorded,
    projection::{ApplyError, Descending, Embedded, Projection, Table, Tx, ViewKey},
};
use serde::{Deserialize, Serialize};

use crate::domain::{Cents, Customer, Month, OrderEvent, OrderId};

/// What was sold: in all, and what was paid in each month.
#[derive(Debug)]
pub struct Sales;

/// The one row of [`Sales`] with the totals.
pub const TOTALS: Table<(), Totals> = Table::new("totals");
/// What was paid in each month.
pub const REVENUE: Table<Month, Cents> = Table::new("revenue");

/// All orders together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Orders placed.
    pub orders: u64,
    /// CDs ordered.
    pub cds: u64,
    /// What was paid.
    pub revenue: Cents,
}

impl Projection for Sales {
    const NAME: &'static str = "sales";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<OrderEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        match recorded.event {
            OrderEvent::Placed { cds, .. } => {
                tx.update(&TOTALS, &(), |totals| {
                    totals.orders += 1;
                    totals.cds += u64::from(cds);
                })?;
            }
            OrderEvent::Paid { date, amount, .. } => {
                tx.update(&TOTALS, &(), |totals| totals.revenue = totals.revenue.plus(amount))?;
                tx.update(&REVENUE, &Month::of(date), |revenue| *revenue = revenue.plus(amount))?;
            }
            OrderEvent::Shipped { .. } | OrderEvent::Cancelled { .. } => {}
        }
        Ok(())
    }
}

/// Who buys: each customer's CDs and payments, and the customers in the order of what they paid.
#[derive(Debug)]
pub struct Customers;

/// How many customers there are, in one row.
pub const CUSTOMERS: Table<(), u64> = Table::new("customers");
/// What each customer bought.
pub const BOUGHT: Table<Customer, Bought> = Table::new("bought");
/// The customers, the one who paid most first: a list that is kept in order, so that its head is all one must read.
pub const TOP: Table<(Descending<Cents>, Customer), ()> = Table::new("top");

/// What a customer bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// CDs ordered.
    pub cds: u64,
    /// What was paid.
    pub paid: Cents,
}

impl Projection for Customers {
    const NAME: &'static str = "customers";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<OrderEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        match recorded.event {
            OrderEvent::Placed { customer, cds, .. } => {
                let known = tx.get(&BOUGHT, &customer)?;
                if known.is_none() {
                    tx.update(&CUSTOMERS, &(), |count| *count += 1)?;
                }
                let bought = known.unwrap_or_default();
                tx.put(&BOUGHT, &customer, &Bought { cds: bought.cds + u64::from(cds), ..bought })?;
            }
            OrderEvent::Paid { customer, amount, .. } => {
                let mut bought = tx.get(&BOUGHT, &customer)?.unwrap_or_default();
                tx.delete(&TOP, &(Descending(bought.paid), customer))?;
                bought.paid = bought.paid.plus(amount);
                tx.put(&TOP, &(Descending(bought.paid), customer), &())?;
                tx.put(&BOUGHT, &customer, &bought)?;
            }
            OrderEvent::Shipped { .. } | OrderEvent::Cancelled { .. } => {}
        }
        Ok(())
    }
}

/// What is still to do: orders that wait for money or for shipment.
#[derive(Debug)]
pub struct OpenOrders;

/// The open orders.
pub const OPEN: Table<OrderId, OpenOrder> = Table::new("open");

/// An order that is not shipped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// Who ordered.
    pub customer: Customer,
    /// What it costs.
    pub total: Cents,
    /// Whether it only waits for shipment.
    pub paid: bool,
}

impl Projection for OpenOrders {
    const NAME: &'static str = "open-orders";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<OrderEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let stream = recorded.record.stream_id();
        let order: OrderId = stream.identifier().parse()?;
        match recorded.event {
            OrderEvent::Placed { customer, total, .. } => {
                tx.put(&OPEN, &order, &OpenOrder { customer, total, paid: false })?;
            }
            OrderEvent::Paid { customer, amount, .. } => {
                tx.put(&OPEN, &order, &OpenOrder { customer, total: amount, paid: true })?;
            }
            OrderEvent::Shipped { .. } | OrderEvent::Cancelled { .. } => tx.delete(&OPEN, &order)?,
        }
        Ok(())
    }
}

/// A key that is as another one, in both directions.
macro_rules! key_like {
    ($key:ty: $like:ty, $to:expr, $from:expr) => {
        impl ViewKey for $key {
            fn encode(&self, bytes: &mut Vec<u8>) {
                let to: fn(&Self) -> $like = $to;
                to(self).encode(bytes);
            }
            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let from: fn($like) -> Option<Self> = $from;
                <$like>::decode(bytes).and_then(from)
            }
        }
    };
}
key_like!(OrderId: u64, |order| order.0, |number| Some(OrderId(number)));
key_like!(Cents: u64, |cents| cents.0, |number| Some(Cents(number)));
key_like!(Customer: u32, |customer| customer.number(), Customer::from_number);
key_like!(Month: (u16, u8), |month| (month.year, month.month), |(year, month)| Some(Month { year, month }));

#[cfg(test)]
mod tests;
