//! What the inventory answers to requests: a no is recorded as well, so that it can be published.

use annalist::{Command, Context, Decide, Decision, emit, emit_all};
use serde::{Deserialize, Serialize};

use crate::{
    domain::OrderId,
    fulfilment::{OutOfStock, Release, Reserve, Stock, StockEvent},
    services::Never,
};

/// Set CDs aside for an order, or say that there are not enough.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "answer-reservation")]
pub struct AnswerReservation {
    /// For which.
    pub order: OrderId,
    /// How many.
    pub cds: u32,
}

/// Put back what was set aside for an order, and say so, also when it was nothing.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "answer-release")]
pub struct AnswerRelease {
    /// Which.
    pub order: OrderId,
}

impl Decide<AnswerReservation> for Stock {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &AnswerReservation, cx: &Context) -> Result<Decision<StockEvent>, Never> {
        let &AnswerReservation { order, cds } = command;
        Ok(match self.decide(&Reserve { order, cds }, cx) {
            Ok(reserved) => emit_all(reserved.into_parts().0),
            Err(OutOfStock { available }) => emit(StockEvent::Refused { order, cds, available }),
        })
    }
}

impl Decide<AnswerRelease> for Stock {
    type Rejection = Never;
    type Reply = ();

    fn decide(&self, command: &AnswerRelease, cx: &Context) -> Result<Decision<StockEvent>, Never> {
        let order = command.order;
        let released = self.decide(&Release { order }, cx).map(|decision| decision.into_parts().0).unwrap_or_default();
        Ok(if released.is_empty() { emit(StockEvent::Released { order, cds: 0 }) } else { emit_all(released) })
    }
}
