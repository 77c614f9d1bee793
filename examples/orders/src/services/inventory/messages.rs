//! What the inventory hears and tells.

use annalist::{
    Recorded,
    inbox::{HandleError, Inbox, InboxContext, Incoming, Received},
    outbox::{IntegrationEvent, MapError},
};

use super::answers::{AnswerRelease, AnswerReservation};
use crate::{
    contracts::{InventoryPublic, ToInventory, streams},
    fulfilment::{Shelf, Stock, StockEvent},
    services::kit::{Hears, Options, Tells, number},
};

/// The service.
pub const NAME: &str = "inventory";
/// Where it tells.
pub const TELLS: Tells = Tells { service: NAME, stream: streams::INVENTORY };
/// What is asked of it.
pub const HEARS: Hears =
    Hears { inbox: "inventory-orders", stream: streams::ORDERS, subjects: "ev.orders.inventory.>" };

/// Requests of the orders service. Those for one shelf are handled one after the other: side by side they would get in each
/// other's way at its stream.
pub(super) fn inbox(options: &Options) -> Inbox {
    options.inbox(NAME, HEARS).key(shelf).on(requests)
}

fn shelf(message: &Incoming) -> String {
    let order = message.subject.as_deref().and_then(|order| order.parse().ok());
    order.map_or_else(|| message.id.clone(), |order| Shelf::of(order).to_string())
}

async fn requests(received: Received<ToInventory>, cx: InboxContext) -> Result<(), HandleError> {
    match received.event {
        ToInventory::ReservationRequested { order, cds } => {
            let order = number(&order)?;
            cx.on::<Stock>(Shelf::of(order)).execute(AnswerReservation { order, cds }).await?;
        }
        ToInventory::ReleaseRequested { order } => {
            let order = number(&order)?;
            cx.on::<Stock>(Shelf::of(order)).execute(AnswerRelease { order }).await?;
        }
    }
    Ok(())
}

/// What becomes public; deliveries are nobody's business.
pub(super) fn public(recorded: &Recorded<StockEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let (order, public) = match recorded.event {
        StockEvent::Delivered { .. } => return Ok(vec![]),
        StockEvent::Reserved { order, cds } => {
            (order, InventoryPublic::StockReserved { order: order.to_string(), cds })
        }
        StockEvent::Released { order, cds } => {
            (order, InventoryPublic::StockReleased { order: order.to_string(), cds })
        }
        StockEvent::Refused { order, available, .. } => {
            (order, InventoryPublic::StockRefused { order: order.to_string(), available })
        }
    };
    Ok(vec![IntegrationEvent::of(&public, order.to_string())?])
}
