//! The takings.

use annalist::{
    Recorded,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::http::PaymentStatus;
use crate::{
    domain::{Cents, OrderId},
    fulfilment::PaymentEvent,
};

/// The view of the takings.
#[derive(Debug)]
pub struct Takings;

/// All payments together.
pub const TOTALS: Table<(), PaymentTotals> = Table::new("totals");
/// The payments, by order.
pub const PAYMENTS: Table<OrderId, PaymentStatus> = Table::new("payments");

/// All payments together. The provider has the same figures of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentTotals {
    /// Orders whose money is here.
    pub charged: u64,
    /// That money.
    pub charged_cents: u64,
    /// Orders whose card was not good for it.
    pub declined: u64,
    /// Orders whose money went back.
    pub refunded: u64,
    /// That money.
    pub refunded_cents: u64,
}

impl PaymentTotals {
    fn add(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Charged { amount, .. } => {
                self.charged += 1;
                self.charged_cents += amount.0;
            }
            // There was no money.
            PaymentEvent::Refunded { amount: Cents(0) } => {}
            PaymentEvent::Refunded { amount } => {
                self.charged -= 1;
                self.charged_cents -= amount.0;
                self.refunded += 1;
                self.refunded_cents += amount.0;
            }
            PaymentEvent::Declined { .. } => self.declined += 1,
        }
    }
}

impl Projection for Takings {
    const NAME: &'static str = "takings";
    const VERSION: u32 = 1;
    type Event = PaymentEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<PaymentEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let order: OrderId = recorded.record.stream_id().identifier().parse()?;
        let status = match recorded.event.clone() {
            PaymentEvent::Charged { amount, .. } => PaymentStatus::Charged { cents: amount.0 },
            PaymentEvent::Refunded { amount } => PaymentStatus::Refunded { cents: amount.0 },
            PaymentEvent::Declined { why, .. } => PaymentStatus::Declined { why },
        };
        tx.put(&PAYMENTS, &order, &status)?;
        tx.update(&TOTALS, &(), |totals| totals.add(&recorded.event))?;
        Ok(())
    }
}
