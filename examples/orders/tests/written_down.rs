//! What is written down beside the code, compared with it: the events that the log holds, and the wiring.
//!
//! `ANNALIST_LOCK=update cargo test --package orders --test written_down` writes what is new.

use annalist::{Store, evolution};
use orders::{
    domain::{Cents, Customer, OrderEvent, parse_date},
    shop,
};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn recorded_events_stay_readable() {
    let (customer, date) = (Customer::from_number(1).unwrap(), parse_date("1997-01-31").unwrap());
    let placed = OrderEvent::Placed { customer, date, cds: 3, total: Cents(1177) };
    let paid = OrderEvent::Paid { customer, date, amount: Cents(1177) };
    let shipped = OrderEvent::Shipped { customer, date, cds: 3 };
    evolution::lock(FOLDER).events([placed, paid, shipped]).check();
}

#[test]
fn the_wiring_is_drawn_as_it_is() {
    let wiring = shop::wiring(Store::memory(), Some("nats://localhost"));
    assert_eq!(wiring.describe(), shop::wiring(Store::memory(), None).describe(), "a broker changes nothing of it");
    wiring.describe().check(format!("{FOLDER}/docs/wiring.md"));
}
