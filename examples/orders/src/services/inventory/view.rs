//! What is on the shelves, and for which orders.

use annalist::{
    Recorded,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{domain::OrderId, fulfilment::StockEvent};

/// The view of the shelves.
#[derive(Debug)]
pub struct Shelves;

/// All shelves together.
pub const TOTALS: Table<(), InventoryTotals> = Table::new("totals");
/// CDs that are set aside, by order.
pub const RESERVED: Table<OrderId, u32> = Table::new("reserved");

/// All shelves together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InventoryTotals {
    /// CDs that came in.
    pub delivered_cds: u64,
    /// Orders that CDs are set aside for.
    pub reserved_orders: u64,
    /// CDs that are set aside.
    pub reserved_cds: u64,
    /// Orders that did not need them after all.
    pub released_orders: u64,
    /// Requests that were refused.
    pub refused: u64,
}

impl Projection for Shelves {
    const NAME: &'static str = "shelves";
    const VERSION: u32 = 1;
    type Event = StockEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<StockEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let event = &recorded.event;
        match *event {
            StockEvent::Reserved { order, cds } => tx.put(&RESERVED, &order, &cds)?,
            StockEvent::Released { order, .. } => tx.delete(&RESERVED, &order)?,
            StockEvent::Delivered { .. } | StockEvent::Refused { .. } => {}
        }
        tx.update(&TOTALS, &(), |totals| match *event {
            StockEvent::Delivered { cds } => totals.delivered_cds += cds,
            StockEvent::Reserved { cds, .. } => {
                totals.reserved_orders += 1;
                totals.reserved_cds += u64::from(cds);
            }
            // There was nothing to put back.
            StockEvent::Released { cds: 0, .. } => {}
            StockEvent::Released { cds, .. } => {
                totals.reserved_orders -= 1;
                totals.reserved_cds -= u64::from(cds);
                totals.released_orders += 1;
            }
            StockEvent::Refused { .. } => totals.refused += 1,
        })?;
        Ok(())
    }
}
