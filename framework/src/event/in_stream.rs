//! Events that know their stream.

use annalist_core::{RecordedEvent, StreamId};

use super::{Declared, DecodeError, EncodeError, Events, Written};

/// An event with the stream that it stands in, for a [scope](crate::Scope) that looks at several streams and must tell them
/// apart: "of *other* orders at most ten wait for their money". With it, events need not repeat in their fields what their
/// stream's name says.
///
/// ```
/// use annalist::{Event, InStream, State};
/// use std::collections::HashMap;
/// # use annalist::StreamId;
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "order")]
/// # enum OrderEvent { #[event(name = "order-placed")] Placed, #[event(name = "order-paid")] Paid }
/// # #[derive(Default)]
/// # struct Order { paid: bool }
/// # impl State for Order { type Event = OrderEvent; fn evolve(&mut self, event: &OrderEvent) { self.paid = matches!(event, OrderEvent::Paid) } }
/// /// Each order of a customer, as the aggregate sees it.
/// #[derive(Default)]
/// struct OrdersOf { orders: HashMap<StreamId, Order> }
///
/// impl State for OrdersOf {
///     type Event = InStream<OrderEvent>;
///     fn evolve(&mut self, InStream { stream, event }: &InStream<OrderEvent>) {
///         self.orders.entry(stream.clone()).or_default().evolve(event);
///     }
/// }
/// # let mut orders = OrdersOf::default();
/// # orders.evolve(&InStream::new(StreamId::of("order", 7)?, OrderEvent::Paid));
/// # assert!(orders.orders[&StreamId::of("order", 7)?].paid);
/// # Ok::<(), annalist::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InStream<E> {
    /// The stream.
    pub stream: StreamId,
    /// The event.
    pub event: E,
}

impl<E> InStream<E> {
    /// An event in a stream.
    pub const fn new(stream: StreamId, event: E) -> Self {
        Self { stream, event }
    }
}

impl<E: Events> Events for InStream<E> {
    fn declared() -> Vec<Declared> {
        E::declared()
    }

    fn read(record: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
        Ok(E::read(record)?.map(|event| Self { stream: record.stream_id(), event }))
    }

    fn write(&self) -> Result<Written, EncodeError> {
        self.event.write()
    }

    fn stream(&self) -> Option<&StreamId> {
        Some(&self.stream)
    }
}
