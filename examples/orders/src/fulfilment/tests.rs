use annalist::{
    Store,
    testing::{GivenWorkflow, given, given_view, given_workflow, to},
    workflow::StepState::{Compensated, Done, LeftOut, Rejected},
};

use super::{
    BOOKS, Balance, Books, CARD_MAX, Cancel, Charge, Declined, Deliver, Fulfilment, OutOfStock, PARCEL_CDS_MAX,
    Payment, PaymentEvent, Refund, Release, Reserve, Schedule, Shelf, Shipment, ShipmentEvent, ShopEvent, Stock,
    StockEvent, TooLarge, fulfil, wiring,
};
use crate::{
    domain::{Cents, Customer, Date, Order, OrderEvent, OrderId, Pay, Ship, parse_date},
    rows::Row,
};

const ORDER: OrderId = OrderId(17);
const TOTAL: Cents = Cents(1177);

fn customer() -> Customer {
    "00001".parse().unwrap()
}

fn day() -> Date {
    parse_date("1997-01-31").unwrap()
}

#[test]
fn cds_are_reserved_while_there_are_some_and_released_once() {
    let delivered = || StockEvent::Delivered { cds: 5 };
    let reserved = || StockEvent::Reserved { order: ORDER, cds: 3 };
    let released = || StockEvent::Released { order: ORDER, cds: 3 };
    let reserve = || Reserve { order: ORDER, cds: 3 };
    given::<Stock>([]).when(Deliver { cds: 5 }).then_emits([delivered()]);
    given::<Stock>([delivered()]).when(reserve()).then_emits([reserved()]).then_replies(2);
    given::<Stock>([delivered(), reserved()]).when(reserve()).then_emits([]).then_replies(2);
    let other = Reserve { order: OrderId(27), cds: 3 };
    given::<Stock>([delivered(), reserved()]).when(other).then_rejected(OutOfStock { available: 2 });
    given::<Stock>([delivered(), reserved()]).when(Release { order: ORDER }).then_emits([released()]);
    given::<Stock>([delivered(), reserved(), released()]).when(Release { order: ORDER }).then_emits([]);
}

#[test]
fn a_card_is_charged_once_and_refunded_once() {
    let charge = |amount| Charge { customer: customer(), amount };
    let charged = || PaymentEvent::Charged { customer: customer(), amount: TOTAL };
    let refunded = || PaymentEvent::Refunded { amount: TOTAL };
    given::<Payment>([]).when(charge(TOTAL)).then_emits([charged()]);
    given::<Payment>([charged()]).when(charge(TOTAL)).then_emits([]);
    let amount = Cents(CARD_MAX.0 + 1);
    given::<Payment>([]).when(charge(amount)).then_rejected(Declined::TooMuch { amount });
    given::<Payment>([charged()]).when(Refund {}).then_emits([refunded()]);
    given::<Payment>([]).when(Refund {}).then_emits([]);
    given::<Payment>([charged(), refunded()]).when(charge(TOTAL)).then_rejected(Declined::Refunded);
}

#[test]
fn a_parcel_is_scheduled_once_and_cancelled_once() {
    let schedule = |cds| Schedule { customer: customer(), cds };
    let scheduled = || ShipmentEvent::Scheduled { customer: customer(), cds: 3 };
    given::<Shipment>([]).when(schedule(3)).then_emits([scheduled()]);
    given::<Shipment>([scheduled()]).when(schedule(3)).then_emits([]);
    let cds = PARCEL_CDS_MAX + 1;
    given::<Shipment>([]).when(schedule(cds)).then_rejected(TooLarge::Cds { cds });
    given::<Shipment>([scheduled()]).when(Cancel {}).then_emits([ShipmentEvent::Cancelled { cds: 3 }]);
    given::<Shipment>([]).when(Cancel {}).then_emits([]);
}

fn placed(cds: u32, total: Cents) -> GivenWorkflow<Fulfilment> {
    let placed = OrderEvent::Placed { customer: customer(), date: day(), cds, total };
    given_workflow([("order-17", placed)]).then_sends([to::<Stock, _>(Shelf(7), Reserve { order: ORDER, cds })])
}

#[test]
fn an_order_is_reserved_charged_shipped_and_told_so() {
    placed(3, TOTAL)
        .accepted(2)
        .then_sends([to::<Payment, _>(ORDER, Charge { customer: customer(), amount: TOTAL })])
        .accepted(())
        .then_sends([to::<Shipment, _>(ORDER, Schedule { customer: customer(), cds: 3 })])
        .accepted(())
        .then_sends([to::<Order, _>(ORDER, Pay { date: day(), amount: TOTAL })])
        .accepted(())
        .then_sends([to::<Order, _>(ORDER, Ship { date: day() })])
        .accepted(())
        .then_data(|fulfilment| assert_eq!(fulfilment.left_on_shelf, Some(2)))
        .then_completed();
}

#[test]
fn what_was_done_is_undone() {
    placed(3, TOTAL).rejected(OutOfStock { available: 2 }).then_nothing().then_ends([("reserve", Rejected)]);
    placed(9, TOTAL)
        .accepted(0)
        .accepted(())
        .rejected(TooLarge::Cds { cds: 9 })
        .then_sends([to::<Payment, _>(ORDER, Refund {})])
        .accepted(())
        .then_sends([to::<Stock, _>(Shelf(7), Release { order: ORDER })])
        .accepted(())
        .then_ends([("reserve", Compensated), ("charge", Compensated), ("ship", Rejected)]);
}

#[test]
fn what_costs_nothing_is_not_charged() {
    let ended = placed(3, Cents(0)).accepted(0).accepted(()).accepted(()).accepted(());
    let told = [("tell it is paid", Done), ("tell it is shipped", Done)];
    ended.then_ends([("reserve", Done), ("charge", LeftOut), ("ship", Done)].into_iter().chain(told));
}

#[test]
fn the_books_are_the_same_however_often_they_are_kept() {
    let reserved = ShopEvent::Stock(StockEvent::Reserved { order: ORDER, cds: 3 });
    let charged = ShopEvent::Payment(PaymentEvent::Charged { customer: customer(), amount: TOTAL });
    let refunded = ShopEvent::Payment(PaymentEvent::Refunded { amount: TOTAL });
    given_view(Books, [reserved, charged, refunded]).replayed_twice().then(|view| {
        let books = Balance { reserved: 3, refunded: TOTAL, ..Balance::default() };
        assert_eq!(view.get(&BOOKS, &()), Ok(Some(books)));
        assert!(!books.adds_up());
    });
}

#[tokio::test(start_paused = true)]
async fn orders_end_fulfilled_or_undone_and_money_and_stock_add_up() {
    let row = |number: u64| {
        // The second does not fit into a parcel, every twentieth has a card that is not good for so much.
        let cds = if number == 2 { PARCEL_CDS_MAX + 1 } else { u32::try_from(number % 8 + 1).unwrap() };
        let dollars = if number % 20 == 3 { Cents(CARD_MAX.0 + 1) } else { TOTAL };
        Row { order: OrderId(number), customer: customer(), date: day(), cds, dollars }
    };
    let rows: Vec<_> = (1..=200).map(row).collect();
    let app = wiring(Store::memory()).start().await.unwrap();
    let fulfilled = fulfil(&app, &rows).await.unwrap();
    assert_eq!((fulfilled.fulfilled + fulfilled.compensated, fulfilled.waiting), (200, 0));
    let steps: Vec<_> = fulfilled.turned_back_at.keys().map(String::as_str).collect();
    assert_eq!(steps, ["charge", "reserve", "ship"], "{fulfilled:?}");
    assert_eq!(fulfil(&app, &rows).await.unwrap(), fulfilled, "nothing is done twice");
    app.shutdown().await.unwrap();
}
