//! Shipment: a parcel for an order is scheduled, and cancelled when the order fails.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure, nothing};
use serde::{Deserialize, Serialize};

use crate::domain::{Customer, OrderId};

/// The most that fits into a parcel.
pub const PARCEL_CDS_MAX: u32 = 8;

/// What can happen to the parcel of an order.
#[derive(Event, Clone, Debug, PartialEq, Eq)]
#[event(category = "shipment")]
pub enum ShipmentEvent {
    /// It will be fetched.
    #[event(name = "shipment-scheduled")]
    Scheduled {
        /// Who gets it.
        customer: Customer,
        /// How many CDs are in it.
        cds: u32,
    },
    /// It will not be fetched after all.
    #[event(name = "shipment-cancelled")]
    Cancelled {
        /// How many CDs were in it.
        cds: u32,
    },
    /// It cannot be fetched.
    #[event(name = "shipment-refused")]
    Refused {
        /// How many CDs were to be in it.
        cds: u32,
        /// Why not.
        why: String,
    },
}

/// What a decision must know of the parcel of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shipment {
    /// There is none yet.
    #[default]
    New,
    /// It will be fetched.
    Scheduled {
        /// How many CDs are in it.
        cds: u32,
    },
    /// It will not.
    Cancelled,
}

impl State for Shipment {
    type Event = ShipmentEvent;

    fn evolve(&mut self, event: &ShipmentEvent) {
        *self = match *event {
            ShipmentEvent::Scheduled { cds, .. } => Self::Scheduled { cds },
            ShipmentEvent::Cancelled { .. } => Self::Cancelled,
            ShipmentEvent::Refused { .. } => *self,
        };
    }
}

impl Aggregate for Shipment {
    type Id = OrderId;
}

/// Have a parcel fetched.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "schedule-shipment")]
pub struct Schedule {
    /// Who gets it.
    pub customer: Customer,
    /// How many CDs are in it.
    pub cds: u32,
}

/// Have it not fetched, if it was to be.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "cancel-shipment")]
pub struct Cancel {}

/// Why a parcel is not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum TooLarge {
    /// It would be too large.
    #[error("{PARCEL_CDS_MAX} CDs fit into a parcel, not {cds}")]
    Cds {
        /// How many there are.
        cds: u32,
    },
    /// The order has failed before.
    #[error("the shipment was cancelled before")]
    Cancelled,
}

/// Never: it is always possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Never {}

impl Decide<Schedule> for Shipment {
    type Rejection = TooLarge;
    type Reply = ();

    fn decide(&self, command: &Schedule, _: &Context) -> Result<Decision<ShipmentEvent>, TooLarge> {
        let &Schedule { customer, cds } = command;
        match self {
            Self::New => {
                ensure!(cds <= PARCEL_CDS_MAX, TooLarge::Cds { cds });
                Ok(emit(ShipmentEvent::Scheduled { customer, cds }))
            }
            Self::Scheduled { .. } => Ok(nothing()),
            Self::Cancelled => Err(TooLarge::Cancelled),
        }
    }
}

impl Decide<Cancel> for Shipment {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, _: &Cancel, _: &Context) -> Result<Decision<ShipmentEvent>, Never> {
        Ok(match *self {
            Self::Scheduled { cds } => emit(ShipmentEvent::Cancelled { cds }),
            Self::New | Self::Cancelled => nothing(),
        })
    }
}
