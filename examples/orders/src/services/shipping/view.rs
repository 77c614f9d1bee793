//! The parcels.

use annalist::{
    Recorded,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::http::ShipmentStatus;
use crate::{domain::OrderId, fulfilment::ShipmentEvent};

/// The view of the parcels.
#[derive(Debug)]
pub struct Parcels;

/// All parcels together.
pub const TOTALS: Table<(), ShippingTotals> = Table::new("totals");
/// The parcels, by order.
pub const SHIPMENTS: Table<OrderId, ShipmentStatus> = Table::new("shipments");

/// All parcels together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShippingTotals {
    /// Parcels that are to be fetched.
    pub parcels: u64,
    /// CDs in them.
    pub cds: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Parcels that are not to be fetched after all.
    pub cancelled: u64,
}

impl Projection for Parcels {
    const NAME: &'static str = "parcels";
    const VERSION: u32 = 1;
    type Event = ShipmentEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<ShipmentEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let order: OrderId = recorded.record.stream_id().identifier().parse()?;
        let status = match recorded.event.clone() {
            ShipmentEvent::Scheduled { cds, .. } => ShipmentStatus::Scheduled { cds },
            ShipmentEvent::Refused { why, .. } => ShipmentStatus::Refused { why },
            ShipmentEvent::Cancelled { .. } => ShipmentStatus::Cancelled,
        };
        tx.put(&SHIPMENTS, &order, &status)?;
        tx.update(&TOTALS, &(), |totals| match recorded.event {
            ShipmentEvent::Scheduled { cds, .. } => {
                totals.parcels += 1;
                totals.cds += u64::from(cds);
            }
            ShipmentEvent::Refused { .. } => totals.refused += 1,
            // There was none.
            ShipmentEvent::Cancelled { cds: 0 } => {}
            ShipmentEvent::Cancelled { cds } => {
                totals.parcels -= 1;
                totals.cds -= u64::from(cds);
                totals.cancelled += 1;
            }
        })?;
        Ok(())
    }
}
