//! What is written down beside the code, compared with it: the events that logs hold, those that are public, and the wiring.
//!
//! `ANNALIST_LOCK=update cargo test --package orders --test written_down` writes what is new.

use annalist::{Store, evolution};
use annalist_service::outbound::Clients;
use annalist_sql::Sqlite;
use orders::{
    contracts::{InventoryPublic, OrdersPublic, PaymentsPublic, ShippingPublic, ToInventory, ToPayments, ToShipping},
    domain::{Cents, Customer, OrderEvent, OrderId, parse_date},
    fulfilment::{self, PaymentEvent, ShipmentEvent, StockEvent},
    services::{
        self, inventory, kit,
        orders::{ErrandEvent, Request, Said, Topic, Tracking},
        payments, provider, shipping,
    },
    shop,
};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn recorded_events_stay_readable() {
    let (customer, date) = (Customer::from_number(1).unwrap(), parse_date("1997-01-31").unwrap());
    let placed = OrderEvent::Placed { customer, date, cds: 3, total: Cents(1177) };
    let paid = OrderEvent::Paid { customer, date, amount: Cents(1177) };
    let shipped = OrderEvent::Shipped { customer, date, cds: 3 };
    let why = || "a reason".to_owned();
    let cancelled = OrderEvent::Cancelled { customer, why: why() };
    let order = OrderId(7);
    let delivered = StockEvent::Delivered { cds: 100 };
    let (reserved, released) = (StockEvent::Reserved { order, cds: 3 }, StockEvent::Released { order, cds: 3 });
    let refused = StockEvent::Refused { order, cds: 3, available: 2 };
    let charged = PaymentEvent::Charged { customer, amount: Cents(1177) };
    let refunded = PaymentEvent::Refunded { amount: Cents(1177) };
    let declined = PaymentEvent::Declined { amount: Cents(1177), why: why() };
    let scheduled = ShipmentEvent::Scheduled { customer, cds: 3 };
    let too_large = ShipmentEvent::Refused { cds: 9, why: why() };
    let asked = ErrandEvent::Asked { request: Request::Charge { customer, amount: Cents(1177) } };
    let answered = ErrandEvent::Answered { topic: Topic::Charge, said: Said::No(why()) };
    evolution::lock(FOLDER)
        .events([placed, paid, shipped, cancelled])
        .events([delivered, reserved, released, refused])
        .events([charged, refunded, declined])
        .events([scheduled, ShipmentEvent::Cancelled { cds: 3 }, too_large])
        .events([asked, answered])
        .check();
}

#[test]
fn what_is_public_stays_readable() {
    let (customer, date) = (Customer::from_number(1).unwrap(), parse_date("1997-01-31").unwrap());
    let (order, why) = (|| "7".to_owned(), || "a reason".to_owned());
    let (cds, amount_cents) = (3, 1177);
    evolution::lock(format!("{FOLDER}/contracts"))
        .events([
            OrdersPublic::OrderPlaced { order: order(), customer, date, cds, total_cents: amount_cents },
            OrdersPublic::OrderPaid { order: order(), customer, date, amount_cents },
            OrdersPublic::OrderShipped { order: order(), customer, date, cds },
            OrdersPublic::OrderCancelled { order: order(), customer, why: why() },
        ])
        .events([
            ToInventory::ReservationRequested { order: order(), cds },
            ToInventory::ReleaseRequested { order: order() },
        ])
        .events([
            ToPayments::ChargeRequested { order: order(), customer, amount_cents },
            ToPayments::RefundRequested { order: order() },
        ])
        .events([
            ToShipping::ShipmentRequested { order: order(), customer, cds },
            ToShipping::CancellationRequested { order: order() },
        ])
        .events([
            InventoryPublic::StockReserved { order: order(), cds },
            InventoryPublic::StockRefused { order: order(), available: 2 },
            InventoryPublic::StockReleased { order: order(), cds },
        ])
        .events([
            PaymentsPublic::PaymentCharged { order: order(), amount_cents },
            PaymentsPublic::PaymentDeclined { order: order(), why: why() },
            PaymentsPublic::PaymentRefunded { order: order(), amount_cents },
        ])
        .events([
            ShippingPublic::ShipmentScheduled { order: order(), cds },
            ShippingPublic::ShipmentRefused { order: order(), why: why() },
            ShippingPublic::ShipmentCancelled { order: order(), cds },
        ])
        .check();
}

#[test]
fn the_fulfilment_is_drawn_as_it_is() {
    fulfilment::wiring(Store::memory()).describe().check(format!("{FOLDER}/docs/fulfilment.md"));
}

#[tokio::test]
async fn the_services_are_drawn_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let common = kit::Options::default();
    let clients = Clients::default();
    let provider = payments::provider_client(&clients, "http://localhost").unwrap();
    let tracking = Sqlite::open::<Tracking>(dir.path(), Tracking::TABLES).await.unwrap();
    let store = Store::memory;
    for (name, wiring) in [
        (services::orders::NAME, services::orders::wiring(store(), &common, tracking)),
        (inventory::NAME, inventory::wiring(store(), &common)),
        (payments::NAME, payments::wiring(store(), &common, provider)),
        (shipping::NAME, shipping::wiring(store(), &common, 8)),
        (provider::NAME, provider::wiring(store())),
    ] {
        wiring.describe().check(format!("{FOLDER}/docs/{name}.md"));
    }
}

#[tokio::test]
async fn the_architecture_is_written_down_and_has_no_flaws() {
    let dir = tempfile::tempdir().unwrap();
    let architecture = services::architecture(dir.path()).await.unwrap();
    architecture.check(services::TITLE, format!("{FOLDER}/docs/architecture.md"));
}

#[test]
fn the_wiring_is_drawn_as_it_is() {
    let wiring = shop::wiring(Store::memory(), Some("nats://localhost"));
    assert_eq!(wiring.describe(), shop::wiring(Store::memory(), None).describe(), "a broker changes nothing of it");
    wiring.describe().check(format!("{FOLDER}/docs/wiring.md"));
}
