//! The workflow: inventory, payments, shipping, each asked through the broker; then the order is told.

use std::{sync::OnceLock, time::Duration};

use annalist::{
    Events, Recorded,
    workflow::{Answer, Steps, Workflow},
};
use serde::{Deserialize, Serialize};

use super::errand::{Ask, Errand, ErrandEvent, Request, Said, Topic};
use crate::domain::{Cancel, Cents, Customer, Date, Order, OrderEvent, OrderId, Pay, Ship, Take};

/// How long each of the others may take to answer, unless the process is told otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What the process was told. The steps of a workflow are made without arguments, alike for all its instances.
static TOLD: OnceLock<Duration> = OnceLock::new();

/// How long each of the others may take to answer in this process: said once, before the service starts. Orders under way keep
/// the deadlines that they have.
pub(super) fn be_patient(patience: Duration) {
    // It has been said before only where one process is the service twice, which it never is.
    _ = TOLD.set(patience);
}

/// How long each of the others may take to answer. Then the order is given up, and what was done for it is undone.
fn patience() -> Duration {
    TOLD.get().copied().unwrap_or(PATIENCE)
}

/// What happens in the orders service.
#[derive(Events, Clone, Debug)]
pub enum OrdersEvent {
    /// To an order.
    Order(OrderEvent),
    /// On its errands.
    Errand(ErrandEvent),
}

/// Sees a placed order through: its CDs are reserved, its customer's card is charged, its parcel is scheduled. From then on
/// there is no way back, and the order is told that it is paid and shipped. When one of the three says no, or nothing in
/// time, what was done before is undone, and the order is cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    order: OrderId,
    customer: Customer,
    date: Date,
    cds: u32,
    total: Cents,
    /// Why it turned back.
    why: String,
}

impl Workflow for Purchase {
    const NAME: &'static str = "purchase";
    const VERSION: u32 = 1;
    type Event = OrdersEvent;

    fn start(event: &Recorded<OrdersEvent>) -> Option<(String, Self)> {
        let OrdersEvent::Order(OrderEvent::Placed { customer, date, cds, total }) = event.event else { return None };
        let stream = event.record.stream_id();
        let order = stream.identifier().parse().ok()?;
        Some((stream.identifier().to_owned(), Self { order, customer, date, cds, total, why: String::new() }))
    }

    fn about(event: &Recorded<OrdersEvent>) -> Option<String> {
        match event.event {
            OrdersEvent::Errand(ErrandEvent::Answered { .. }) => Some(event.record.stream_id().identifier().to_owned()),
            _ => None,
        }
    }

    fn steps(steps: &mut Steps<Self>) {
        steps
            .step("take")
            .execute::<Order, Take>(|own| Some((own.order, Take {})))
            .compensate::<Order, Cancel>(|own| Some((own.order, Cancel { why: own.why.clone() })));
        steps
            .step("reserve")
            .execute::<Errand, Ask>(|own| own.ask(Request::Reserve { cds: own.cds }))
            .until(answered(Topic::Reserve))
            .timeout(patience())
            .compensate::<Errand, Ask>(|own| own.ask(Request::Release {}))
            .compensated_when(answered(Topic::Release));
        steps
            .step("charge")
            // Some orders cost nothing.
            .execute::<Errand, Ask>(|own| (own.total > Cents(0)).then(|| own.ask(own.charge())).flatten())
            .until(answered(Topic::Charge))
            .timeout(patience())
            .compensate::<Errand, Ask>(|own| own.ask(Request::Refund {}))
            .compensated_when(answered(Topic::Refund));
        steps
            .step("ship")
            .execute::<Errand, Ask>(|own| own.ask(Request::Ship { customer: own.customer, cds: own.cds }))
            .until(answered(Topic::Ship))
            .timeout(patience())
            .compensate::<Errand, Ask>(|own| own.ask(Request::CancelShipment {}))
            .compensated_when(answered(Topic::CancelShipment))
            .pivot();
        steps
            .step("tell it is paid")
            .execute::<Order, Pay>(|own| Some((own.order, Pay { date: own.date, amount: own.total })));
        steps.step("tell it is shipped").execute::<Order, Ship>(|own| Some((own.order, Ship { date: own.date })));
    }

    fn turned_back(&mut self, _: &str, why: &str) {
        why.clone_into(&mut self.why);
    }
}

impl Purchase {
    #[expect(clippy::unnecessary_wraps, reason = "a step may have nothing to ask")]
    const fn ask(&self, request: Request) -> Option<(OrderId, Ask)> {
        Some((self.order, Ask { request }))
    }

    const fn charge(&self) -> Request {
        Request::Charge { customer: self.customer, amount: self.total }
    }
}

/// The step ends with the answer about this.
fn answered(topic: Topic) -> impl Fn(&mut Purchase, &Recorded<OrdersEvent>) -> Option<Answer> {
    move |_, recorded| match &recorded.event {
        OrdersEvent::Errand(ErrandEvent::Answered { topic: about, said }) if *about == topic => Some(match said {
            Said::Done => Answer::Done,
            Said::No(why) => Answer::Failed(why.clone()),
        }),
        _ => None,
    }
}
