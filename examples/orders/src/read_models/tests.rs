use annalist::projection::{Descending, given_view};

use super::{BOUGHT, Bought, CUSTOMERS, Customers, OPEN, OpenOrder, OpenOrders, REVENUE, Sales, TOP, TOTALS, Totals};
use crate::domain::{Cents, Customer, Month, OrderEvent, OrderId, parse_date};

fn customer(number: u32) -> Customer {
    Customer::from_number(number).unwrap()
}

fn placed(number: u32, cds: u32, cents: u64) -> OrderEvent {
    let date = parse_date("1997-01-31").unwrap();
    OrderEvent::Placed { customer: customer(number), date, cds, total: Cents(cents) }
}

fn paid(number: u32, day: &str, cents: u64) -> OrderEvent {
    OrderEvent::Paid { customer: customer(number), date: parse_date(day).unwrap(), amount: Cents(cents) }
}

fn shipped(number: u32, cds: u32) -> OrderEvent {
    OrderEvent::Shipped { customer: customer(number), date: parse_date("1997-02-01").unwrap(), cds }
}

fn history() -> [(&'static str, OrderEvent); 8] {
    [
        ("order-1", placed(1, 2, 2000)),
        ("order-1", paid(1, "1997-01-31", 2000)),
        ("order-2", placed(2, 1, 1500)),
        ("order-1", shipped(1, 2)),
        ("order-2", paid(2, "1997-02-01", 1500)),
        ("order-3", placed(2, 1, 1000)),
        ("order-3", paid(2, "1997-02-02", 1000)),
        ("order-4", placed(3, 5, 0)),
    ]
}

#[test]
fn sales_add_up_in_all_and_by_month() {
    given_view(Sales, history()).replayed_twice().then(|view| {
        let totals = Totals { orders: 4, cds: 9, revenue: Cents(4500) };
        assert_eq!(view.get(&TOTALS, &()), Ok(Some(totals)));
        let january = Month { year: 1997, month: 1 };
        let february = Month { year: 1997, month: 2 };
        assert_eq!(view.scan(&REVENUE).rows(), Ok(vec![(january, Cents(2000)), (february, Cents(2500))]));
    });
}

#[test]
fn customers_stand_in_the_order_of_what_they_paid() {
    given_view(Customers, history()).replayed_twice().then(|view| {
        assert_eq!(view.get(&CUSTOMERS, &()), Ok(Some(3)));
        assert_eq!(view.get(&BOUGHT, &customer(2)), Ok(Some(Bought { cds: 2, paid: Cents(2500) })));
        let top = |cents, number| ((Descending(Cents(cents)), customer(number)), ());
        assert_eq!(view.scan(&TOP).rows(), Ok(vec![top(2500, 2), top(2000, 1)]));
    });
}

#[test]
fn an_order_is_open_until_it_is_shipped() {
    given_view(OpenOrders, history()).replayed_twice().then(|view| {
        let open = |number, total, paid| OpenOrder { customer: customer(number), total: Cents(total), paid };
        let expected =
            vec![(OrderId(2), open(2, 1500, true)), (OrderId(3), open(2, 1000, true)), (OrderId(4), open(3, 0, false))];
        assert_eq!(view.scan(&OPEN).rows(), Ok(expected));
    });
}
