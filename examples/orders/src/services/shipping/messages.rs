//! What shipping hears and tells.

use annalist::{
    Recorded,
    inbox::{HandleError, Inbox, InboxContext, Received},
    outbox::{IntegrationEvent, MapError},
};

use super::answers::{AnswerCancellation, AnswerShipment};
use crate::{
    contracts::{ShippingPublic, ToShipping, streams},
    fulfilment::{Shipment, ShipmentEvent},
    services::kit::{Hears, Options, Tells, number},
};

/// The service.
pub const NAME: &str = "shipping";
/// Where it tells.
pub const TELLS: Tells = Tells { service: NAME, stream: streams::SHIPPING };
/// What is asked of it.
pub const HEARS: Hears = Hears { inbox: "shipping-orders", stream: streams::ORDERS, subjects: "ev.orders.shipping.>" };

/// Requests of the orders service.
pub(super) fn inbox(options: &Options, cds_max: u32) -> Inbox {
    let inbox = options.inbox(NAME, HEARS);
    inbox.on(move |received, cx| requests(received, cx, cds_max))
}

async fn requests(received: Received<ToShipping>, cx: InboxContext, cds_max: u32) -> Result<(), HandleError> {
    match received.event {
        ToShipping::ShipmentRequested { order, customer, cds } => {
            cx.on::<Shipment>(number(&order)?).execute(AnswerShipment { customer, cds, cds_max }).await?;
        }
        ToShipping::CancellationRequested { order } => {
            cx.on::<Shipment>(number(&order)?).execute(AnswerCancellation {}).await?;
        }
    }
    Ok(())
}

/// What becomes public.
pub(super) fn public(recorded: &Recorded<ShipmentEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let stream = recorded.record.stream_id();
    let order = stream.identifier().to_owned();
    let public = match recorded.event.clone() {
        ShipmentEvent::Scheduled { cds, .. } => ShippingPublic::ShipmentScheduled { order, cds },
        ShipmentEvent::Refused { why, .. } => ShippingPublic::ShipmentRefused { order, why },
        ShipmentEvent::Cancelled { cds } => ShippingPublic::ShipmentCancelled { order, cds },
    };
    Ok(vec![IntegrationEvent::of(&public, stream.identifier())?])
}
