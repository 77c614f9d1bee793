//! A view to rebuild: what each customer spent, and how many events of each type there are.

use std::num::ParseIntError;

use annalist::{
    DecodeError, EncodeError, EventSet, Recorded,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use annalist_core::Tag;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Cents by customer; there are 100,000 of them, each as likely as any other.
pub const SPENT: Table<String, u64> = Table::new("spent");

/// Events by type.
pub const EVENTS: Table<String, u64> = Table::new("events");

/// An event of [`EventSource::json`](crate::EventSource::json), decoded as far as the view needs it.
#[derive(Clone, Debug)]
pub struct OrderEvent {
    name: &'static str,
    order: Order,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    cents: String,
}

impl OrderEvent {
    /// Its type, who ordered, and for how many cents.
    pub(crate) fn parts(&self) -> Result<(&'static str, &str, i64), ParseIntError> {
        Ok((self.name, &self.order.customer, self.order.cents.parse()?))
    }
}

impl EventSet for OrderEvent {
    const CATEGORY: &'static str = "order";
    const TYPES: &'static [(&'static str, u16)] = &[("order-placed", 1), ("order-paid", 1), ("order-shipped", 1)];

    fn event_type(&self) -> (&'static str, u16) {
        (self.name, 1)
    }

    fn tags(&self) -> Result<Vec<Tag>, EncodeError> {
        Ok(Vec::new())
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        let failed = |error: serde_json::Error| EncodeError::Payload { name: self.name, detail: error.to_string() };
        Ok(serde_json::to_vec(&self.order).map_err(failed)?.into())
    }

    fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        let declared = Self::TYPES.iter().find(|(declared, _)| *declared == name);
        let (name, _) = *declared.ok_or_else(|| DecodeError::UnknownType { name: name.to_owned() })?;
        let order = serde_json::from_slice(payload);
        let order = order.map_err(|error| DecodeError::Payload { name, version, detail: error.to_string() })?;
        Ok(Self { name, order })
    }
}

/// The projection that keeps the view.
#[derive(Clone, Copy, Debug)]
pub struct Spending;

impl Projection for Spending {
    const NAME: &'static str = "spending";
    const VERSION: u32 = 1;
    type Event = OrderEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<OrderEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let OrderEvent { name, order } = &event.event;
        let cents: u64 = order.cents.parse()?;
        tx.update(&SPENT, &order.customer, |spent| *spent += cents)?;
        tx.update(&EVENTS, &(*name).to_owned(), |count| *count += 1)?;
        Ok(())
    }
}
