use annalist::{
    testing::{ExpectedCommand, GivenWorkflow, given_workflow, to},
    workflow::StepState::{Compensated, Done, LeftOut, Rejected},
};

use super::{Ask, Errand, ErrandEvent, OrdersEvent, Purchase, Request, Said, Topic};
use crate::domain::{Cancel, Cents, Customer, Date, Order, OrderEvent, OrderId, Pay, Ship, Take, parse_date};

const ORDER: OrderId = OrderId(17);
const TOTAL: Cents = Cents(1177);

fn customer() -> Customer {
    "00001".parse().unwrap()
}

fn day() -> Date {
    parse_date("1997-01-31").unwrap()
}

fn answered(topic: Topic, refused: Option<&str>) -> (&'static str, OrdersEvent) {
    let said = refused.map_or(Said::Done, |why| Said::No(why.to_owned()));
    ("errand-17", OrdersEvent::Errand(ErrandEvent::Answered { topic, said }))
}

/// An order that is placed, and whose CDs are asked for.
fn placed(total: Cents) -> GivenWorkflow<Purchase> {
    let placed = OrderEvent::Placed { customer: customer(), date: day(), cds: 3, total };
    given_workflow([("order-17", OrdersEvent::Order(placed))])
        .then_sends([to::<Order, _>(ORDER, Take {})])
        .accepted(())
        .then_sends([to::<Errand, _>(ORDER, Ask { request: Request::Reserve { cds: 3 } })])
        .accepted(())
}

fn asks(request: Request) -> [ExpectedCommand; 1] {
    [to::<Errand, _>(ORDER, Ask { request })]
}

fn cancel(why: &str) -> [ExpectedCommand; 1] {
    [to::<Order, _>(ORDER, Cancel { why: why.to_owned() })]
}

#[test]
fn an_order_is_reserved_charged_shipped_and_told_so() {
    placed(TOTAL)
        .when(answered(Topic::Reserve, None))
        .then_sends(asks(Request::Charge { customer: customer(), amount: TOTAL }))
        .accepted(())
        .when(answered(Topic::Charge, None))
        .then_sends(asks(Request::Ship { customer: customer(), cds: 3 }))
        .accepted(())
        .when(answered(Topic::Ship, None))
        .then_sends([to::<Order, _>(ORDER, Pay { date: day(), amount: TOTAL })])
        .accepted(())
        .then_sends([to::<Order, _>(ORDER, Ship { date: day() })])
        .accepted(())
        .then_completed();
}

#[test]
fn a_no_undoes_what_was_done() {
    placed(TOTAL)
        .when(answered(Topic::Reserve, Some("only 2 CDs are left")))
        .then_sends(cancel("only 2 CDs are left"))
        .accepted(())
        .then_ends([("take", Compensated), ("reserve", Rejected)]);
    placed(TOTAL)
        .when(answered(Topic::Reserve, None))
        .accepted(())
        .when(answered(Topic::Charge, Some("no")))
        .then_sends(asks(Request::Release {}))
        .accepted(())
        .when(answered(Topic::Release, None))
        .then_sends(cancel("no"))
        .accepted(())
        .then_ends([("take", Compensated), ("reserve", Compensated), ("charge", Rejected)]);
}

#[test]
fn who_does_not_answer_in_time_is_told_to_undo_it_and_a_late_answer_changes_nothing() {
    placed(TOTAL)
        .when(answered(Topic::Reserve, None))
        .accepted(())
        .after(super::purchase::PATIENCE)
        .then_sends(asks(Request::Refund {}))
        .accepted(())
        .when(answered(Topic::Charge, None))
        .then_nothing()
        .when(answered(Topic::Refund, None))
        .then_sends(asks(Request::Release {}));
}

#[test]
fn what_costs_nothing_is_not_charged() {
    let shipped = placed(Cents(0)).when(answered(Topic::Reserve, None)).accepted(()).when(answered(Topic::Ship, None));
    let told = [("tell it is paid", Done), ("tell it is shipped", Done)];
    let steps = [("take", Done), ("reserve", Done), ("charge", LeftOut), ("ship", Done)];
    shipped.accepted(()).accepted(()).then_ends(steps.into_iter().chain(told));
}
