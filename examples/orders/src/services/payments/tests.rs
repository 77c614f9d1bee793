use annalist::testing::{given, given_view};

use super::{AnswerCharge, AnswerRefund, Owed, PaymentTotals, TOTALS, Takings, Verdict};
use crate::{
    domain::{Cents, Customer},
    fulfilment::{Payment, PaymentEvent},
};

const AMOUNT: Cents = Cents(1177);

fn customer() -> Customer {
    "00001".parse().unwrap()
}

fn charged() -> PaymentEvent {
    PaymentEvent::Charged { customer: customer(), amount: AMOUNT }
}

fn refunded(amount: Cents) -> PaymentEvent {
    PaymentEvent::Refunded { amount }
}

fn answer(verdict: Verdict) -> AnswerCharge {
    AnswerCharge { customer: customer(), amount: AMOUNT, verdict }
}

fn no() -> Verdict {
    Verdict::Declined { why: "no".to_owned() }
}

#[test]
fn a_charge_is_recorded_once_and_a_no_as_well() {
    given::<Payment>([]).when(answer(Verdict::Charged)).then_emits([charged()]).then_replies(Verdict::Charged);
    given::<Payment>([charged()]).when(answer(no())).then_emits([]).then_replies(Verdict::Charged);
    let declined = PaymentEvent::Declined { amount: AMOUNT, why: "no".to_owned() };
    given::<Payment>([]).when(answer(no())).then_emits([declined]).then_replies(no());
    let again = given::<Payment>([charged(), refunded(AMOUNT)]).when(answer(Verdict::Charged));
    let why = "the payment was refunded before".to_owned();
    again.then_emits([PaymentEvent::Declined { amount: AMOUNT, why }]);
}

#[test]
fn a_refund_is_answered_also_when_there_is_nothing_to_give_back() {
    given::<Payment>([charged()]).when(Owed {}).then_emits([]).then_replies(AMOUNT);
    given::<Payment>([charged()]).when(AnswerRefund {}).then_emits([refunded(AMOUNT)]).then_replies(AMOUNT);
    given::<Payment>([]).when(Owed {}).then_emits([]).then_replies(Cents(0));
    given::<Payment>([]).when(AnswerRefund {}).then_emits([refunded(Cents(0))]);
    given::<Payment>([charged(), refunded(AMOUNT)]).when(AnswerRefund {}).then_emits([refunded(Cents(0))]);
}

#[test]
fn the_takings_are_the_same_however_often_they_are_counted() {
    let (second, third) = ("payment-2", "payment-3");
    let events =
        [("payment-1", charged()), (second, charged()), (second, refunded(AMOUNT)), (third, refunded(Cents(0)))];
    given_view(Takings, events).replayed_twice().then(|view| {
        let totals = PaymentTotals { charged: 1, charged_cents: 1177, declined: 0, refunded: 1, refunded_cents: 1177 };
        assert_eq!(view.get(&TOTALS, &()), Ok(Some(totals)));
    });
}
