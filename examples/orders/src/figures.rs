//! The figures of the shop, as the read models have them.

use std::time::Duration;

use annalist::{
    Cursor,
    projection::{Descending, Projections, ViewError},
};

use crate::{
    domain::{Cents, Customer, Month, OrderId},
    read_models::{BOUGHT, CUSTOMERS, Customers, OPEN, OpenOrder, OpenOrders, REVENUE, Sales, TOP, TOTALS, Totals},
};

/// How many of the best customers, and of the open orders, a report shows.
const TOP_SHOWN: usize = 10;
const OPEN_SHOWN: usize = 10;

/// What the read models say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Orders placed.
    pub orders: u64,
    /// Customers who ordered.
    pub customers: u64,
    /// CDs ordered.
    pub cds: u64,
    /// What was paid.
    pub revenue: Cents,
    /// What was paid in each month, in order.
    pub revenue_by_month: Vec<(Month, Cents)>,
    /// Who paid most, with the number of CDs; the best first.
    pub top_customers: Vec<(Customer, Cents, u64)>,
    /// Orders that wait for money or shipment.
    pub open_orders: u64,
    /// Some of those, by number.
    pub open: Vec<(OrderId, OpenOrder)>,
}

impl Figures {
    /// Asks the read models once they have seen everything up to `cursor`, for which they have the time `patience`.
    ///
    /// # Errors
    /// [`ViewError`] when they do not come so far or cannot be read.
    pub async fn read(projections: &Projections, cursor: Cursor, patience: Duration) -> Result<Self, ViewError> {
        projections.all_reached(cursor, patience).await?;
        let sales = projections.view::<Sales>()?;
        let (totals, revenue_by_month) =
            sales.read(|view| Ok((view.get(&TOTALS, &())?.unwrap_or_default(), view.scan(&REVENUE).rows()?))).await?;
        let customers = projections.view::<Customers>()?;
        let (customers, top_customers) = customers
            .read(|view| {
                let mut top = Vec::new();
                for ((Descending(paid), customer), ()) in view.scan(&TOP).limit(TOP_SHOWN).rows()? {
                    top.push((customer, paid, view.get(&BOUGHT, &customer)?.unwrap_or_default().cds));
                }
                Ok((view.get(&CUSTOMERS, &())?.unwrap_or_default(), top))
            })
            .await?;
        let open = projections.view::<OpenOrders>()?;
        let (open_orders, open) = open
            .read(|view| {
                let mut count = 0;
                view.scan(&OPEN).for_each(|_, _| count += 1)?;
                Ok((count, view.scan(&OPEN).limit(OPEN_SHOWN).rows()?))
            })
            .await?;
        let Totals { orders, cds, revenue } = totals;
        Ok(Self { orders, customers, cds, revenue, revenue_by_month, top_customers, open_orders, open })
    }
}
