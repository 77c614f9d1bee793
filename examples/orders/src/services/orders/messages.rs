//! What the orders service hears and tells.

use annalist::{
    Recorded,
    inbox::{HandleError, Inbox, InboxContext, Received},
    outbox::{IntegrationEvent, MapError, Message},
};

use super::errand::{Errand, ErrandEvent, Note, Request, Said, Topic};
use crate::{
    contracts::{InventoryPublic, PaymentsPublic, ShippingPublic, ToInventory, ToPayments, ToShipping, streams},
    services::kit::{Hears, Options, Tells, number},
};

/// The service.
pub const NAME: &str = "orders";

/// Where it tells.
pub const TELLS: Tells = Tells { service: NAME, stream: streams::ORDERS };
/// What the other three answer.
pub const HEARS: [Hears; 3] = [
    Hears { inbox: "orders-inventory", stream: streams::INVENTORY, subjects: "ev.inventory.>" },
    Hears { inbox: "orders-payments", stream: streams::PAYMENTS, subjects: "ev.payments.>" },
    Hears { inbox: "orders-shipping", stream: streams::SHIPPING, subjects: "ev.shipping.>" },
];

/// What the other three answer.
pub(super) fn inboxes(options: &Options) -> [Inbox; 3] {
    let [from_inventory, from_payments, from_shipping] = HEARS.map(|heard| options.inbox(NAME, heard));
    [from_inventory.on(inventory), from_payments.on(payments), from_shipping.on(shipping)]
}

async fn inventory(received: Received<InventoryPublic>, cx: InboxContext) -> Result<(), HandleError> {
    let (order, topic, said) = match received.event {
        InventoryPublic::StockReserved { order, .. } => (order, Topic::Reserve, Said::Done),
        InventoryPublic::StockRefused { order, available } => {
            (order, Topic::Reserve, Said::No(format!("only {available} CDs are left")))
        }
        InventoryPublic::StockReleased { order, .. } => (order, Topic::Release, Said::Done),
    };
    note(&cx, &order, topic, said).await
}

async fn payments(received: Received<PaymentsPublic>, cx: InboxContext) -> Result<(), HandleError> {
    let (order, topic, said) = match received.event {
        PaymentsPublic::PaymentCharged { order, .. } => (order, Topic::Charge, Said::Done),
        PaymentsPublic::PaymentDeclined { order, why } => (order, Topic::Charge, Said::No(why)),
        PaymentsPublic::PaymentRefunded { order, .. } => (order, Topic::Refund, Said::Done),
    };
    note(&cx, &order, topic, said).await
}

async fn shipping(received: Received<ShippingPublic>, cx: InboxContext) -> Result<(), HandleError> {
    let (order, topic, said) = match received.event {
        ShippingPublic::ShipmentScheduled { order, .. } => (order, Topic::Ship, Said::Done),
        ShippingPublic::ShipmentRefused { order, why } => (order, Topic::Ship, Said::No(why)),
        ShippingPublic::ShipmentCancelled { order, .. } => (order, Topic::CancelShipment, Said::Done),
    };
    note(&cx, &order, topic, said).await
}

async fn note(cx: &InboxContext, order: &str, topic: Topic, said: Said) -> Result<(), HandleError> {
    cx.on::<Errand>(number(order)?).execute(Note { topic, said }).await?;
    Ok(())
}

/// Requests become public; answers are there already.
pub(super) fn requests(recorded: &Recorded<ErrandEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let ErrandEvent::Asked { request } = recorded.event.clone() else { return Ok(vec![]) };
    let stream = recorded.record.stream_id();
    let (about, order) = (stream.identifier(), stream.identifier().to_owned());
    let public = match request {
        Request::Reserve { cds } => IntegrationEvent::of(&ToInventory::ReservationRequested { order, cds }, about),
        Request::Release {} => IntegrationEvent::of(&ToInventory::ReleaseRequested { order }, about),
        Request::Charge { customer, amount } => {
            let charge = ToPayments::ChargeRequested { order, customer, amount_cents: amount.0 };
            IntegrationEvent::of(&charge, about)
        }
        Request::Refund {} => IntegrationEvent::of(&ToPayments::RefundRequested { order }, about),
        Request::Ship { customer, cds } => {
            IntegrationEvent::of(&ToShipping::ShipmentRequested { order, customer, cds }, about)
        }
        Request::CancelShipment {} => IntegrationEvent::of(&ToShipping::CancellationRequested { order }, about),
    };
    Ok(vec![public?])
}

/// What is for one service has its name in the subject, so that nobody gets what is for others: `ev.orders.inventory.17`.
pub(super) fn subject(message: &Message) -> String {
    let event = &message.event;
    let parts: Vec<_> = event.event_type.split('.').collect();
    let for_whom = match parts[..] {
        [_, for_whom, _, _] => for_whom,
        _ => "order",
    };
    format!("ev.orders.{for_whom}.{}", event.subject)
}
