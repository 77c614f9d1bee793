//! A rule that no single order can keep: a customer has at most so many orders that wait for their money.

use std::collections::HashMap;

use annalist::{
    Command, Context, Decide, Decision, InStream, Invalid, Query, QueryItem, Scope, State, StreamId, Tag, emit_all,
    ensure, stream_of,
};
use serde::{Deserialize, Serialize};

use super::{
    order::{Order, OrderEvent, OrderRejected, Place},
    values::{Customer, OrderId},
};

/// Orders of one customer that may wait for their money at the same time.
pub const OPEN_ORDERS_MAX: usize = 20;

/// Place an order, if its customer has not too many that wait for their money.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "place-order-in-turn")]
pub struct PlaceInTurn {
    /// Its number.
    pub order: OrderId,
    /// The order.
    pub place: Place,
}

/// What the rule must know: each order of the customer, and that of the number, whoever placed it.
#[derive(Default, Debug)]
pub struct OrdersOfCustomer {
    orders: HashMap<StreamId, Order>,
}

impl State for OrdersOfCustomer {
    type Event = InStream<OrderEvent>;

    fn evolve(&mut self, InStream { stream, event }: &InStream<OrderEvent>) {
        self.orders.entry(stream.clone()).or_default().evolve(event);
    }
}

/// Why an order is not placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PlaceRejected {
    /// The order itself says no.
    #[error(transparent)]
    Order(OrderRejected),
    /// Others are to be paid first.
    #[error("{OPEN_ORDERS_MAX} orders of customer {customer} wait for their money")]
    TooManyOpen {
        /// Who ordered them.
        customer: Customer,
    },
    /// There can be no order of that number.
    #[error("{0}")]
    Number(String),
}

impl Decide<PlaceInTurn> for OrdersOfCustomer {
    type Rejection = PlaceRejected;
    type Reply = ();

    fn decide(&self, command: &PlaceInTurn, cx: &Context) -> Result<Decision<InStream<OrderEvent>>, PlaceRejected> {
        let PlaceInTurn { order, place } = command;
        let stream = stream_of::<Order>(order).map_err(|error| PlaceRejected::Number(error.to_string()))?;
        let before = self.orders.get(&stream).copied().unwrap_or_default();
        let (events, ()) = before.decide(place, cx).map_err(PlaceRejected::Order)?.into_parts();
        let open = self.orders.values().filter(|order| matches!(order, Order::Placed { .. })).count();
        ensure!(open < OPEN_ORDERS_MAX, PlaceRejected::TooManyOpen { customer: place.customer });
        Ok(emit_all(events.into_iter().map(|event| InStream::new(stream.clone(), event))))
    }
}

impl Scope<PlaceInTurn> for OrdersOfCustomer {
    fn query(command: &PlaceInTurn) -> Result<Query, Invalid> {
        let order = QueryItem::new().stream(stream_of::<Order>(&command.order)?);
        let customer = Tag::new(format!("customer:{}", command.place.customer))?;
        let customers = QueryItem::new().types(["order-placed", "order-paid", "order-cancelled"]).tags([customer]);
        Ok(Query::of(order).or(customers))
    }

    fn home(_: &PlaceInTurn, event: &InStream<OrderEvent>) -> Result<StreamId, Invalid> {
        Ok(event.stream.clone())
    }
}
