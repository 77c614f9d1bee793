//! An order: it is placed, then paid, then shipped, each once; or cancelled.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure, nothing};
use serde::{Deserialize, Serialize};

use super::values::{Cents, Customer, Date, OrderId};

/// What can happen to an order.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "order")]
pub enum OrderEvent {
    /// A customer ordered CDs.
    #[event(name = "order-placed")]
    Placed {
        /// Who ordered.
        #[event(tag)]
        customer: Customer,
        /// When.
        date: Date,
        /// How many CDs.
        cds: u32,
        /// What they cost together.
        total: Cents,
    },
    /// The customer paid.
    #[event(name = "order-paid")]
    Paid {
        /// Who paid.
        #[event(tag)]
        customer: Customer,
        /// When.
        date: Date,
        /// How much.
        amount: Cents,
    },
    /// The CDs left the house.
    #[event(name = "order-shipped")]
    Shipped {
        /// Who gets them.
        customer: Customer,
        /// When.
        date: Date,
        /// How many CDs.
        cds: u32,
    },
    /// Nothing comes of it.
    #[event(name = "order-cancelled")]
    Cancelled {
        /// Who ordered.
        #[event(tag)]
        customer: Customer,
        /// Why.
        why: String,
    },
}

/// What a decision must know of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Nothing happened yet.
    #[default]
    New,
    /// Waits for the money.
    Placed {
        /// Who ordered.
        customer: Customer,
        /// How many CDs.
        cds: u32,
        /// What is due.
        total: Cents,
    },
    /// Waits to be shipped.
    Paid {
        /// Who ordered.
        customer: Customer,
        /// How many CDs.
        cds: u32,
    },
    /// Done.
    Shipped,
    /// Nothing came of it.
    Cancelled,
}

impl State for Order {
    type Event = OrderEvent;

    fn evolve(&mut self, event: &OrderEvent) {
        *self = match (*self, event) {
            (_, &OrderEvent::Placed { customer, cds, total, .. }) => Self::Placed { customer, cds, total },
            (Self::Placed { customer, cds, .. }, OrderEvent::Paid { .. }) => Self::Paid { customer, cds },
            (_, OrderEvent::Shipped { .. }) => Self::Shipped,
            (_, OrderEvent::Cancelled { .. }) => Self::Cancelled,
            (unchanged, OrderEvent::Paid { .. }) => unchanged,
        }
    }
}

impl Aggregate for Order {
    type Id = OrderId;
}

/// Why an order cannot do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum OrderRejected {
    /// An order is for one CD or more.
    #[error("an order needs at least one CD")]
    NoCds,
    /// An order is placed once.
    #[error("the order was placed before")]
    PlacedBefore,
    /// Only what was placed can be paid.
    #[error("the order was not placed yet")]
    NotPlaced,
    /// An order is paid once.
    #[error("the order was paid before")]
    PaidBefore,
    /// An order is paid in full.
    #[error("{due} dollars are due, not {offered}")]
    WrongAmount {
        /// What the order costs.
        due: Cents,
        /// What was offered.
        offered: Cents,
    },
    /// Only what was paid is shipped.
    #[error("the order was not paid yet")]
    NotPaid,
    /// An order is shipped once.
    #[error("the order was shipped before")]
    ShippedBefore,
    /// What was cancelled stays so.
    #[error("the order was cancelled before")]
    CancelledBefore,
}

/// Place the order.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "place-order")]
pub struct Place {
    /// Who orders.
    pub customer: Customer,
    /// When.
    pub date: Date,
    /// How many CDs.
    pub cds: u32,
    /// What they cost together; it may be nothing.
    pub total: Cents,
}

impl Decide<Place> for Order {
    type Rejection = OrderRejected;
    type Reply = ();

    fn decide(&self, command: &Place, _: &Context) -> Result<Decision<OrderEvent>, OrderRejected> {
        let &Place { customer, date, cds, total } = command;
        ensure!(*self == Self::New, OrderRejected::PlacedBefore);
        ensure!(cds > 0, OrderRejected::NoCds);
        Ok(emit(OrderEvent::Placed { customer, date, cds, total }))
    }
}

/// Pay the order.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "pay-order")]
pub struct Pay {
    /// When.
    pub date: Date,
    /// How much.
    pub amount: Cents,
}

impl Decide<Pay> for Order {
    type Rejection = OrderRejected;
    type Reply = ();

    fn decide(&self, command: &Pay, _: &Context) -> Result<Decision<OrderEvent>, OrderRejected> {
        let &Pay { date, amount } = command;
        match *self {
            Self::New => Err(OrderRejected::NotPlaced),
            Self::Paid { .. } | Self::Shipped => Err(OrderRejected::PaidBefore),
            Self::Cancelled => Err(OrderRejected::CancelledBefore),
            Self::Placed { customer, total, .. } => {
                ensure!(amount == total, OrderRejected::WrongAmount { due: total, offered: amount });
                Ok(emit(OrderEvent::Paid { customer, date, amount }))
            }
        }
    }
}

/// Ship the order.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "ship-order")]
pub struct Ship {
    /// When.
    pub date: Date,
}

impl Decide<Ship> for Order {
    type Rejection = OrderRejected;
    type Reply = ();

    fn decide(&self, command: &Ship, _: &Context) -> Result<Decision<OrderEvent>, OrderRejected> {
        match *self {
            Self::New => Err(OrderRejected::NotPlaced),
            Self::Placed { .. } => Err(OrderRejected::NotPaid),
            Self::Paid { customer, cds } => Ok(emit(OrderEvent::Shipped { customer, date: command.date, cds })),
            Self::Shipped => Err(OrderRejected::ShippedBefore),
            Self::Cancelled => Err(OrderRejected::CancelledBefore),
        }
    }
}

/// Take the order in hand: it waits for its money. Nothing changes.
#[derive(Command, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[command(name = "take-order")]
pub struct Take {}

impl Decide<Take> for Order {
    type Rejection = OrderRejected;
    type Reply = ();

    fn decide(&self, _: &Take, _: &Context) -> Result<Decision<OrderEvent>, OrderRejected> {
        match self {
            Self::New => Err(OrderRejected::NotPlaced),
            Self::Placed { .. } => Ok(nothing()),
            Self::Paid { .. } => Err(OrderRejected::PaidBefore),
            Self::Shipped => Err(OrderRejected::ShippedBefore),
            Self::Cancelled => Err(OrderRejected::CancelledBefore),
        }
    }
}

/// Cancel the order. Once it is paid it is too late.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "cancel-order")]
pub struct Cancel {
    /// Why.
    pub why: String,
}

impl Decide<Cancel> for Order {
    type Rejection = OrderRejected;
    type Reply = ();

    fn decide(&self, command: &Cancel, _: &Context) -> Result<Decision<OrderEvent>, OrderRejected> {
        match *self {
            Self::New => Err(OrderRejected::NotPlaced),
            Self::Placed { customer, .. } => Ok(emit(OrderEvent::Cancelled { customer, why: command.why.clone() })),
            Self::Paid { .. } => Err(OrderRejected::PaidBefore),
            Self::Shipped => Err(OrderRejected::ShippedBefore),
            Self::Cancelled => Ok(nothing()),
        }
    }
}
