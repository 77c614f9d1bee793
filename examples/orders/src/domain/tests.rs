use annalist::{
    InStream, stream_of,
    testing::{given, given_scope},
};

use super::{
    Cancel, Cents, Customer, Date, Month, OPEN_ORDERS_MAX, Order, OrderEvent, OrderId, OrderRejected, OrdersOfCustomer,
    Pay, Place, PlaceInTurn, PlaceRejected, Ship, parse_date,
};

const TOTAL: Cents = Cents(1177);

fn customer() -> Customer {
    "00001".parse().unwrap()
}

fn day() -> Date {
    parse_date("1997-01-31").unwrap()
}

fn placed() -> OrderEvent {
    OrderEvent::Placed { customer: customer(), date: day(), cds: 2, total: TOTAL }
}

fn paid() -> OrderEvent {
    OrderEvent::Paid { customer: customer(), date: day(), amount: TOTAL }
}

fn shipped() -> OrderEvent {
    OrderEvent::Shipped { customer: customer(), date: day(), cds: 2 }
}

fn place(cds: u32, total: Cents) -> Place {
    Place { customer: customer(), date: day(), cds, total }
}

#[test]
fn an_order_is_placed_paid_and_shipped() {
    given::<Order>([]).when(place(2, TOTAL)).then_emits([placed()]);
    given::<Order>([placed()]).when(Pay { date: day(), amount: TOTAL }).then_emits([paid()]);
    given::<Order>([placed(), paid()]).when(Ship { date: day() }).then_emits([shipped()]);
}

#[test]
fn a_customer_has_so_many_open_orders_and_no_more() {
    let in_turn = |order| PlaceInTurn { order: OrderId(order), place: place(2, TOTAL) };
    let of = |order: u64, event| InStream::new(stream_of::<Order>(&OrderId(order)).unwrap(), event);
    let open = || (1..=OPEN_ORDERS_MAX as u64).map(move |order| of(order, placed()));
    let rejected = PlaceRejected::TooManyOpen { customer: customer() };
    given_scope::<OrdersOfCustomer>(open().skip(1)).when(in_turn(99)).then_emits([of(99, placed())]);
    given_scope::<OrdersOfCustomer>(open()).when(in_turn(99)).then_rejected(rejected);
    // What is paid or cancelled is not open, also where the event of another order is the same.
    let paid_for = || open().chain([of(3, paid())]);
    given_scope::<OrdersOfCustomer>(paid_for()).when(in_turn(99)).then_emits([of(99, placed())]);
    given_scope::<OrdersOfCustomer>(paid_for().chain([of(3, paid())])).when(in_turn(99)).then_emits([of(99, placed())]);
    let cancelled = of(4, OrderEvent::Cancelled { customer: customer(), why: "nothing is left".to_owned() });
    given_scope::<OrdersOfCustomer>(open().chain([cancelled])).when(in_turn(99)).then_emits([of(99, placed())]);
    // A number is given once, whoever has it.
    let twice = || PlaceRejected::Order(OrderRejected::PlacedBefore);
    given_scope::<OrdersOfCustomer>([of(99, placed())]).when(in_turn(99)).then_rejected(twice());
    let of_another = OrderEvent::Placed { customer: "00002".parse().unwrap(), date: day(), cds: 1, total: Cents(0) };
    given_scope::<OrdersOfCustomer>([of(99, of_another)]).when(in_turn(99)).then_rejected(twice());
}

#[test]
fn an_order_may_cost_nothing_but_has_a_cd() {
    let free = OrderEvent::Placed { customer: customer(), date: day(), cds: 1, total: Cents(0) };
    given::<Order>([]).when(place(1, Cents(0))).then_emits([free]);
    given::<Order>([]).when(place(0, TOTAL)).then_rejected(OrderRejected::NoCds);
}

#[test]
fn an_order_is_cancelled_until_it_is_paid() {
    let cancel = || Cancel { why: "nothing is left".to_owned() };
    let cancelled = || OrderEvent::Cancelled { customer: customer(), why: "nothing is left".to_owned() };
    given::<Order>([placed()]).when(cancel()).then_emits([cancelled()]);
    given::<Order>([placed(), cancelled()]).when(cancel()).then_emits([]);
    given::<Order>([]).when(cancel()).then_rejected(OrderRejected::NotPlaced);
    given::<Order>([placed(), paid()]).when(cancel()).then_rejected(OrderRejected::PaidBefore);
    given::<Order>([placed(), paid(), shipped()]).when(cancel()).then_rejected(OrderRejected::ShippedBefore);
    let pay = Pay { date: day(), amount: TOTAL };
    given::<Order>([placed(), cancelled()]).when(pay).then_rejected(OrderRejected::CancelledBefore);
    given::<Order>([placed(), cancelled()]).when(Ship { date: day() }).then_rejected(OrderRejected::CancelledBefore);
}

#[test]
fn each_step_happens_once() {
    given::<Order>([placed()]).when(place(2, TOTAL)).then_rejected(OrderRejected::PlacedBefore);
    let pay = || Pay { date: day(), amount: TOTAL };
    given::<Order>([placed(), paid()]).when(pay()).then_rejected(OrderRejected::PaidBefore);
    given::<Order>([placed(), paid(), shipped()]).when(pay()).then_rejected(OrderRejected::PaidBefore);
    given::<Order>([placed(), paid(), shipped()])
        .when(Ship { date: day() })
        .then_rejected(OrderRejected::ShippedBefore);
}

#[test]
fn no_step_is_left_out() {
    given::<Order>([]).when(Pay { date: day(), amount: TOTAL }).then_rejected(OrderRejected::NotPlaced);
    given::<Order>([]).when(Ship { date: day() }).then_rejected(OrderRejected::NotPlaced);
    given::<Order>([placed()]).when(Ship { date: day() }).then_rejected(OrderRejected::NotPaid);
}

#[test]
fn an_order_is_paid_in_full() {
    let offered = Cents(1176);
    given::<Order>([placed()])
        .when(Pay { date: day(), amount: offered })
        .then_rejected(OrderRejected::WrongAmount { due: TOTAL, offered });
}

#[test]
fn money_is_read_exactly() {
    let read = |text: &str| text.parse::<Cents>().ok();
    assert_eq!(read("11.77"), Some(Cents(1177)));
    assert_eq!(read("0.00"), Some(Cents(0)));
    assert_eq!(read("0.07"), Some(Cents(7)));
    assert_eq!(read("184467440737095516.15"), Some(Cents(u64::MAX)));
    for wrong in
        ["", ".", "11", "11.7", "11.777", "-1.00", "+1.00", "1,000.00", "1e3.00", ".50", "184467440737095516.16"]
    {
        assert_eq!(read(wrong), None, "{wrong}");
    }
    assert_eq!(Cents(1207).to_string(), "12.07");
}

#[test]
fn customers_have_five_digits() {
    assert_eq!(customer().to_string(), "00001");
    assert_eq!(serde_json::to_string(&customer()).unwrap(), r#""00001""#);
    assert_eq!(serde_json::from_str::<Customer>(r#""07592""#).unwrap().number(), 7592);
    for wrong in ["", "1", "000001", "0000a", "+0001", "٠٠٠٠١"] {
        assert!(wrong.parse::<Customer>().is_err(), "{wrong}");
    }
}

#[test]
fn days_exist_and_lie_in_a_month() {
    assert_eq!(Month::of(day()).to_string(), "1997-01");
    for wrong in ["", "1997-02-29", "1997-13-01", "1997-1-001", "19970131", "1997-01-31T00:00", "31.01.1997"] {
        assert!(parse_date(wrong).is_err(), "{wrong}");
    }
}
