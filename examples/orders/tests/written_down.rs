//! What is written down beside the code, compared with it: the events that the log holds, and the wiring.
//!
//! `ANNALIST_LOCK=update cargo test --package orders --test written_down` writes what is new.

use annalist::{Store, evolution};
use orders::{
    domain::{Cents, Customer, OrderEvent, OrderId, parse_date},
    fulfilment::{self, PaymentEvent, ShipmentEvent, StockEvent},
    shop,
};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn recorded_events_stay_readable() {
    let (customer, date) = (Customer::from_number(1).unwrap(), parse_date("1997-01-31").unwrap());
    let placed = OrderEvent::Placed { customer, date, cds: 3, total: Cents(1177) };
    let paid = OrderEvent::Paid { customer, date, amount: Cents(1177) };
    let shipped = OrderEvent::Shipped { customer, date, cds: 3 };
    let order = OrderId(7);
    let delivered = StockEvent::Delivered { cds: 100 };
    let (reserved, released) = (StockEvent::Reserved { order, cds: 3 }, StockEvent::Released { order, cds: 3 });
    let charged = PaymentEvent::Charged { customer, amount: Cents(1177) };
    let refunded = PaymentEvent::Refunded { amount: Cents(1177) };
    let scheduled = ShipmentEvent::Scheduled { customer, cds: 3 };
    evolution::lock(FOLDER)
        .events([placed, paid, shipped])
        .events([delivered, reserved, released])
        .events([charged, refunded])
        .events([scheduled, ShipmentEvent::Cancelled { cds: 3 }])
        .check();
}

#[test]
fn the_fulfilment_is_drawn_as_it_is() {
    fulfilment::wiring(Store::memory()).describe().check(format!("{FOLDER}/docs/fulfilment.md"));
}

#[test]
fn the_wiring_is_drawn_as_it_is() {
    let wiring = shop::wiring(Store::memory(), Some("nats://localhost"));
    assert_eq!(wiring.describe(), shop::wiring(Store::memory(), None).describe(), "a broker changes nothing of it");
    wiring.describe().check(format!("{FOLDER}/docs/wiring.md"));
}
