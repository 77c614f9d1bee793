//! The workflow: stock, payment, shipment; then the order is told.

use std::time::Duration;

use annalist::{
    Recorded,
    workflow::{Steps, Workflow},
};
use serde::{Deserialize, Serialize};

use super::{
    payment::{Charge, Payment, Refund},
    shipment::{Cancel, Schedule, Shipment},
    stock::{Release, Reserve, Shelf, Stock},
};
use crate::domain::{Cents, Customer, Date, Order, OrderEvent, OrderId, Pay, Ship};

/// How long each of stock, payment and shipment may take.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Carries a placed order through: its CDs are reserved, its customer's card is charged, its parcel is scheduled. From then
/// on there is no way back, and the order is told that it is paid and shipped. When one of the three says no, what was done
/// before is undone, and the order stays open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    order: OrderId,
    customer: Customer,
    date: Date,
    cds: u32,
    total: Cents,
    /// What the shelf had left when the CDs were reserved.
    pub left_on_shelf: Option<u64>,
}

impl Workflow for Fulfilment {
    const NAME: &'static str = "fulfilment";
    const VERSION: u32 = 1;
    type Event = OrderEvent;

    fn start(event: &Recorded<OrderEvent>) -> Option<(String, Self)> {
        let OrderEvent::Placed { customer, date, cds, total } = event.event else { return None };
        let stream = event.record.stream_id();
        let order = stream.identifier().parse().ok()?;
        Some((stream.identifier().to_owned(), Self { order, customer, date, cds, total, left_on_shelf: None }))
    }

    fn steps(steps: &mut Steps<Self>) {
        steps
            .step("reserve")
            .execute::<Stock, Reserve>(|own| Some((Shelf::of(own.order), Reserve { order: own.order, cds: own.cds })))
            .on_reply(|own, left| own.left_on_shelf = Some(left))
            .compensate::<Stock, Release>(|own| Some((Shelf::of(own.order), Release { order: own.order })))
            .timeout(TIMEOUT);
        steps
            .step("charge")
            .execute::<Payment, Charge>(|own| {
                // Some orders cost nothing.
                let charge = Charge { customer: own.customer, amount: own.total };
                (own.total > Cents(0)).then_some((own.order, charge))
            })
            .compensate::<Payment, Refund>(|own| Some((own.order, Refund {})))
            .timeout(TIMEOUT);
        steps
            .step("ship")
            .execute::<Shipment, Schedule>(|own| Some((own.order, Schedule { customer: own.customer, cds: own.cds })))
            .compensate::<Shipment, Cancel>(|own| Some((own.order, Cancel {})))
            .timeout(TIMEOUT)
            .pivot();
        steps
            .step("tell it is paid")
            .execute::<Order, Pay>(|own| Some((own.order, Pay { date: own.date, amount: own.total })));
        steps.step("tell it is shipped").execute::<Order, Ship>(|own| Some((own.order, Ship { date: own.date })));
    }
}
