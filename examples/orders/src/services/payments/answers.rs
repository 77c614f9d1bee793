//! What payments answers to requests: a no is recorded as well, so that it can be published.

use annalist::{Command, Context, Decide, Decision, emit, nothing};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    domain::{Cents, Customer},
    fulfilment::{Payment, PaymentEvent},
    services::Never,
};

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Verdict {
    /// The money is here.
    Charged,
    /// It is not.
    Declined {
        /// Why not.
        why: String,
    },
}

/// Record what became of a charge.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "answer-charge")]
pub struct AnswerCharge {
    /// Whose card.
    pub customer: Customer,
    /// With how much.
    pub amount: Cents,
    /// What is found about it.
    pub verdict: Verdict,
}

/// How much is to be given back?
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "ask-what-is-owed")]
pub struct Owed {}

/// Record that the money went back, also when there was none.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "answer-refund")]
pub struct AnswerRefund {}

impl Decide<AnswerCharge> for Payment {
    type Rejection = Never;
    /// What holds now: what was charged before stays charged, and what was refunded is not charged again.
    type Reply = Verdict;

    fn decide(&self, command: &AnswerCharge, _: &Context) -> Result<Decision<PaymentEvent, Verdict>, Never> {
        let AnswerCharge { customer, amount, verdict } = command.clone();
        let refunded = || Verdict::Declined { why: "the payment was refunded before".to_owned() };
        let verdict = match self {
            Self::Charged { .. } => return Ok(nothing().reply(Verdict::Charged)),
            Self::Refunded => refunded(),
            Self::New => verdict,
        };
        let event = match verdict.clone() {
            Verdict::Charged => PaymentEvent::Charged { customer, amount },
            Verdict::Declined { why } => PaymentEvent::Declined { amount, why },
        };
        Ok(emit(event).reply(verdict))
    }
}

impl Decide<Owed> for Payment {
    type Rejection = Never;
    type Reply = Cents;

    fn decide(&self, _: &Owed, _: &Context) -> Result<Decision<PaymentEvent, Cents>, Never> {
        Ok(nothing().reply(self.held()))
    }
}

impl Decide<AnswerRefund> for Payment {
    type Rejection = Never;
    /// How much.
    type Reply = Cents;

    fn decide(&self, _: &AnswerRefund, _: &Context) -> Result<Decision<PaymentEvent, Cents>, Never> {
        let amount = self.held();
        Ok(emit(PaymentEvent::Refunded { amount }).reply(amount))
    }
}

impl Payment {
    /// The money that is here.
    const fn held(&self) -> Cents {
        match self {
            Self::Charged { amount } => *amount,
            Self::New | Self::Refunded => Cents(0),
        }
    }
}
