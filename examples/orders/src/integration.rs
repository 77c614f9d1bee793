//! What becomes of an order's events in public: its part of [`contracts`](crate::contracts).
//!
//! Domain events can change with the domain; what is public changes only by a new version beside the old one.

use annalist::{
    EventSet, Recorded,
    outbox::{IntegrationEvent, MapError, Message, PublishError, Publisher, Tail},
};
use async_trait::async_trait;

use crate::{contracts::OrdersPublic, domain::OrderEvent};

/// What a domain event tells the world.
///
/// # Errors
/// [`MapError`] when it cannot be written as JSON.
pub fn public_events(recorded: &Recorded<OrderEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let stream = recorded.record.stream_id();
    let order = stream.identifier().to_owned();
    let public = match recorded.event.clone() {
        OrderEvent::Placed { customer, date, cds, total } => {
            OrdersPublic::OrderPlaced { order, customer, date, cds, total_cents: total.0 }
        }
        OrderEvent::Paid { customer, date, amount } => {
            OrdersPublic::OrderPaid { order, customer, date, amount_cents: amount.0 }
        }
        OrderEvent::Shipped { customer, date, cds } => OrdersPublic::OrderShipped { order, customer, date, cds },
        OrderEvent::Cancelled { customer, why } => OrdersPublic::OrderCancelled { order, customer, why },
    };
    Ok(vec![IntegrationEvent::of(&public, stream.identifier())?])
}

/// The types of the integration events of a set, as they are published: `name.vN`.
#[must_use]
pub fn public_types<E: EventSet>() -> Vec<String> {
    E::TYPES.iter().map(|(name, version)| format!("{name}.v{version}")).collect()
}

/// The place of NATS when there is none: nothing is ever published, and the relay counts what waits.
#[derive(Debug)]
pub struct Offline {
    /// The name of the publisher whose place it takes, whose note says what was published so far.
    pub name: String,
}

#[async_trait]
impl Publisher for Offline {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn resume(&mut self) -> Result<Tail, PublishError> {
        std::future::pending().await
    }

    async fn publish(&mut self, _: &[Message]) -> Result<u64, PublishError> {
        Err(PublishError::Unavailable { detail: "there is no broker".to_owned() })
    }
}
