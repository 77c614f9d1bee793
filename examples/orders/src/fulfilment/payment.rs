//! Payment: the card of a customer is charged for an order, once, and the money goes back when the order fails.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure, nothing};
use serde::{Deserialize, Serialize};

use crate::domain::{Cents, Customer, OrderId};

/// The most that a card is good for at once.
pub const CARD_MAX: Cents = Cents(15_000);

/// What can happen to the payment for an order.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "payment")]
pub enum PaymentEvent {
    /// The customer's card was charged.
    #[event(name = "payment-charged")]
    Charged {
        /// Whose.
        customer: Customer,
        /// With how much.
        amount: Cents,
    },
    /// The customer got the money back.
    #[event(name = "payment-refunded")]
    Refunded {
        /// How much.
        amount: Cents,
    },
    /// The card was not charged.
    #[event(name = "payment-declined")]
    Declined {
        /// With how much it was to be.
        amount: Cents,
        /// Why not.
        why: String,
    },
}

/// What a decision must know of the payment for an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payment {
    /// Nothing happened yet.
    #[default]
    New,
    /// The money is here.
    Charged {
        /// How much.
        amount: Cents,
    },
    /// The money went back.
    Refunded,
}

impl State for Payment {
    type Event = PaymentEvent;

    fn evolve(&mut self, event: &PaymentEvent) {
        *self = match *event {
            PaymentEvent::Charged { amount, .. } => Self::Charged { amount },
            PaymentEvent::Refunded { .. } => Self::Refunded,
            PaymentEvent::Declined { .. } => *self,
        };
    }
}

impl Aggregate for Payment {
    type Id = OrderId;
}

/// Charge the customer's card.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "charge-payment")]
pub struct Charge {
    /// Whose.
    pub customer: Customer,
    /// With how much.
    pub amount: Cents,
}

/// Give the money back, if there is any.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "refund-payment")]
pub struct Refund {}

/// Why a card is not charged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Declined {
    /// It is not good for so much.
    #[error("the card is good for {CARD_MAX} dollars, not for {amount}")]
    TooMuch {
        /// For how much.
        amount: Cents,
    },
    /// The order has failed before.
    #[error("the payment was refunded before")]
    Refunded,
}

/// Never: it is always possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Never {}

impl Decide<Charge> for Payment {
    type Rejection = Declined;
    type Reply = ();

    fn decide(&self, command: &Charge, _: &Context) -> Result<Decision<PaymentEvent>, Declined> {
        let &Charge { customer, amount } = command;
        match self {
            Self::New => {
                ensure!(amount <= CARD_MAX, Declined::TooMuch { amount });
                Ok(emit(PaymentEvent::Charged { customer, amount }))
            }
            Self::Charged { .. } => Ok(nothing()),
            Self::Refunded => Err(Declined::Refunded),
        }
    }
}

impl Decide<Refund> for Payment {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, _: &Refund, _: &Context) -> Result<Decision<PaymentEvent>, Never> {
        Ok(match *self {
            Self::Charged { amount } => emit(PaymentEvent::Refunded { amount }),
            Self::New | Self::Refunded => nothing(),
        })
    }
}
