//! Errands: what the orders service asks the others for an order, and what they answer.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Cents, Customer, OrderId},
    services::Never,
};

/// What happens on an order's errands.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "errand")]
pub enum ErrandEvent {
    /// Another service is asked for something.
    #[event(name = "errand-asked")]
    Asked {
        /// For what.
        request: Request,
    },
    /// It has answered. Version 1 had a reason in the place of what it said, or none.
    #[event(name = "errand-answered", version = 2, upcast(from = AnsweredV1))]
    Answered {
        /// About what.
        topic: Topic,
        /// What it said.
        said: Said,
    },
}

/// What another service says. The names stand on disk and never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It is done.
    Done,
    /// No, for this reason.
    No(String),
}

#[derive(Deserialize)]
struct AnsweredV1 {
    topic: Topic,
    refused: Option<String>,
}

impl From<AnsweredV1> for ErrandEvent {
    fn from(AnsweredV1 { topic, refused }: AnsweredV1) -> Self {
        Self::Answered { topic, said: refused.map_or(Said::Done, Said::No) }
    }
}

/// What another service is asked for. The names stand on disk and never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Inventory: to set CDs aside.
    Reserve {
        /// How many.
        cds: u32,
    },
    /// Inventory: to put them back.
    Release {},
    /// Payments: to charge the card.
    Charge {
        /// Whose.
        customer: Customer,
        /// With how much.
        amount: Cents,
    },
    /// Payments: to give the money back.
    Refund {},
    /// Shipping: to have a parcel fetched.
    Ship {
        /// Who gets it.
        customer: Customer,
        /// How many CDs are in it.
        cds: u32,
    },
    /// Shipping: to have it not fetched.
    CancelShipment {},
}

/// What an answer is about. The names stand on disk and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// [`Request::Reserve`].
    Reserve,
    /// [`Request::Release`].
    Release,
    /// [`Request::Charge`].
    Charge,
    /// [`Request::Refund`].
    Refund,
    /// [`Request::Ship`].
    Ship,
    /// [`Request::CancelShipment`].
    CancelShipment,
}

/// The errands of an order. They need not be remembered to run the next: who is asked, and when, is up to
/// [`Purchase`](super::Purchase).
#[derive(Clone, Copy, Debug, Default)]
pub struct Errand;

impl State for Errand {
    type Event = ErrandEvent;

    fn evolve(&mut self, _: &ErrandEvent) {}
}

impl Aggregate for Errand {
    type Id = OrderId;
}

/// Ask another service.
#[derive(Command, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[command(name = "ask")]
pub struct Ask {
    /// For what.
    pub request: Request,
}

/// Note what another service has answered.
#[derive(Command, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[command(name = "note-answer")]
pub struct Note {
    /// About what.
    pub topic: Topic,
    /// What it said.
    pub said: Said,
}

impl Decide<Ask> for Errand {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &Ask, _: &Context) -> Result<Decision<ErrandEvent>, Never> {
        Ok(emit(ErrandEvent::Asked { request: command.request.clone() }))
    }
}

impl Decide<Note> for Errand {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &Note, _: &Context) -> Result<Decision<ErrandEvent>, Never> {
        let Note { topic, said } = command.clone();
        Ok(emit(ErrandEvent::Answered { topic, said }))
    }
}
