//! What other services may know: the public integration events, a contract of its own.
//!
//! Domain events can change with the domain; these change only by a new version beside the old one.

use annalist::{
    Recorded,
    outbox::{IntegrationEvent, MapError, Message, PublishError, Publisher, Tail},
};
use async_trait::async_trait;
use serde::Serialize;

use crate::domain::{Customer, Date, OrderEvent};

const ORDER_PLACED: &str = "orders.order-placed.v1";
const ORDER_PAID: &str = "orders.order-paid.v1";
const ORDER_SHIPPED: &str = "orders.order-shipped.v1";

/// All public types. They never change.
pub const PUBLIC_TYPES: &[&str] = &[ORDER_PLACED, ORDER_PAID, ORDER_SHIPPED];

#[derive(Serialize)]
struct OrderPlacedV1<'a> {
    order: &'a str,
    customer: Customer,
    date: Date,
    cds: u32,
    total_cents: u64,
}

#[derive(Serialize)]
struct OrderPaidV1<'a> {
    order: &'a str,
    customer: Customer,
    date: Date,
    amount_cents: u64,
}

#[derive(Serialize)]
struct OrderShippedV1<'a> {
    order: &'a str,
    customer: Customer,
    date: Date,
    cds: u32,
}

/// What a domain event tells the world.
///
/// # Errors
/// [`MapError`] when it cannot be written as JSON.
pub fn public_events(recorded: &Recorded<OrderEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let stream = recorded.record.stream_id();
    let order = stream.identifier();
    let public = match recorded.event {
        OrderEvent::Placed { customer, date, cds, total } => IntegrationEvent::json(
            ORDER_PLACED,
            order,
            &OrderPlacedV1 { order, customer, date, cds, total_cents: total.0 },
        ),
        OrderEvent::Paid { customer, date, amount } => {
            IntegrationEvent::json(ORDER_PAID, order, &OrderPaidV1 { order, customer, date, amount_cents: amount.0 })
        }
        OrderEvent::Shipped { customer, date, cds } => {
            IntegrationEvent::json(ORDER_SHIPPED, order, &OrderShippedV1 { order, customer, date, cds })
        }
    };
    Ok(vec![public?])
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
