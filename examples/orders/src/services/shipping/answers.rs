//! What shipping answers to requests: a no is recorded as well, so that it can be published.

use annalist::{Command, Context, Decide, Decision, emit, nothing};
use serde::{Deserialize, Serialize};

use crate::{
    domain::Customer,
    fulfilment::{Shipment, ShipmentEvent},
    services::Never,
};

/// Have a parcel fetched, or say that it cannot be.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "answer-shipment")]
pub struct AnswerShipment {
    /// Who gets it.
    pub customer: Customer,
    /// How many CDs are in it.
    pub cds: u32,
    /// How many fit into a parcel at present.
    pub cds_max: u32,
}

/// Have it not fetched, and say so, also when it was not to be.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "answer-cancellation")]
pub struct AnswerCancellation {}

impl Decide<AnswerShipment> for Shipment {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &AnswerShipment, _: &Context) -> Result<Decision<ShipmentEvent>, Never> {
        let &AnswerShipment { customer, cds, cds_max } = command;
        let refused = |why: String| emit(ShipmentEvent::Refused { cds, why });
        Ok(match self {
            Self::New if cds <= cds_max => emit(ShipmentEvent::Scheduled { customer, cds }),
            Self::New => refused(format!("{cds_max} CDs fit into a parcel, not {cds}")),
            Self::Scheduled { .. } => nothing(),
            Self::Cancelled => refused("the shipment was cancelled before".to_owned()),
        })
    }
}

impl Decide<AnswerCancellation> for Shipment {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, _: &AnswerCancellation, _: &Context) -> Result<Decision<ShipmentEvent>, Never> {
        let cds = match *self {
            Self::Scheduled { cds } => cds,
            Self::New | Self::Cancelled => 0,
        };
        Ok(emit(ShipmentEvent::Cancelled { cds }))
    }
}
