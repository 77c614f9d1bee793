//! The four services, the provider and the broker as real processes.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[expect(unreachable_pub, reason = "a module that this test shares with nobody")]
mod shop;

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use futures_util::future::join_all;
use orders::{
    domain::{Cents, OPEN_ORDERS_MAX},
    fleet::{ALL, Answered, FleetError, as_request, ask, trace},
    services::{
        inventory::{InventoryTotals, Reservation},
        orders::OrdersTotals,
        payments::{PaymentStatus, PaymentTotals},
        shipping::{ShipmentStatus, ShippingTotals},
    },
};
use serde_json::{Value, json};
use shop::{Shop, order};

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_shipped_or_undone_by_four_processes() {
    let shop = Shop::start(Cents(15_000), 8).await;
    shop.deliver(7, 5).await;
    shop.deliver(8, 100).await;
    shop.deliver(9, 100).await;

    // One is shipped, one comes too late for its shelf, one's card is not good for it, one is too large, one is free.
    shop.place(&order(7, 3, 1177)).await;
    assert_eq!(shop.ended(7).await.status, "shipped");
    let orders = [order(17, 3, 1177), order(8, 2, 15_001), order(18, 9, 900), order(9, 1, 0)];
    for order in &orders {
        assert_eq!(shop.place(order).await, Answered::Yes);
    }
    let [sold_out, declined, too_large, free] = [17, 8, 18, 9];
    let (sold_out, declined) = (shop.ended(sold_out).await, shop.ended(declined).await);
    let (too_large, free) = (shop.ended(too_large).await, shop.ended(free).await);
    assert_eq!((&*sold_out.status, sold_out.stock.as_deref()), ("cancelled", Some("refused")));
    assert_eq!(sold_out.why.as_deref(), Some("only 2 CDs are left"));
    let said = (declined.stock.as_deref(), declined.payment.as_deref());
    assert_eq!((&*declined.status, said), ("cancelled", (Some("released"), Some("declined"))));
    assert_eq!(declined.why.as_deref(), Some("the card is good for 150.00 dollars, not for 150.01"));
    let said = (too_large.stock.as_deref(), too_large.payment.as_deref(), too_large.parcel.as_deref());
    assert_eq!((&*too_large.status, said), ("cancelled", (Some("released"), Some("refunded"), Some("refused"))));
    assert_eq!((&*free.status, free.payment.as_deref(), free.parcel.as_deref()), ("shipped", None, Some("scheduled")));

    // Each service says so of itself.
    let reservation: Reservation = shop.read("inventory", "/v1/reservations/7").await;
    assert_eq!(reservation.cds, 3);
    assert_eq!(shop.read::<PaymentStatus>("payments", "/v1/payments/7").await, PaymentStatus::Charged { cents: 1177 });
    assert_eq!(shop.read::<PaymentStatus>("payments", "/v1/payments/18").await, PaymentStatus::Refunded { cents: 900 });
    assert_eq!(shop.read::<ShipmentStatus>("shipping", "/v1/shipments/9").await, ShipmentStatus::Scheduled { cds: 1 });
    let operation: Value = shop.read("orders", "/operations/8").await;
    assert_eq!(operation["status"], "failed", "{operation}");

    let (orders, inventory, payments, shipping) = (
        OrdersTotals { placed: 5, open: 0, shipped: 2, shipped_cds: 4, shipped_cents: 1177, cancelled: 3 },
        InventoryTotals { delivered_cds: 205, reserved_orders: 2, reserved_cds: 4, released_orders: 2, refused: 1 },
        PaymentTotals { charged: 1, charged_cents: 1177, declined: 1, refunded: 1, refunded_cents: 900 },
        ShippingTotals { parcels: 2, cds: 4, refused: 1, cancelled: 0 },
    );
    assert_eq!(shop.read::<OrdersTotals>("orders", "/v1/totals").await, orders);
    assert_eq!(shop.read::<InventoryTotals>("inventory", "/v1/totals").await, inventory);
    assert_eq!(shop.read::<PaymentTotals>("payments", "/v1/totals").await, payments);
    assert_eq!(shop.read::<PaymentTotals>("provider", "/v1/totals").await, payments);
    assert_eq!(shop.read::<ShippingTotals>("shipping", "/v1/totals").await, shipping);

    // Each describes its API, and answers all that it describes; what it does not describe it has not.
    for (name, count) in [("orders", 4), ("inventory", 3), ("payments", 2), ("shipping", 2), ("provider", 5)] {
        let document: Value = shop.read(name, "/v1/openapi.json").await;
        assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!(name)));
        let paths = document["paths"].as_object().unwrap();
        let mut routes = 0;
        for (path, operations) in paths {
            let path =
                format!("/v1{}", path.replace("{order}", "7").replace("{shelf}", "7").replace("{customer}", "00001"));
            for method in operations.as_object().unwrap().keys() {
                routes += 1;
                let call = shop.fleet.client(name).call(method.to_uppercase().parse().unwrap(), &path);
                let status = call.send().await.unwrap().status().as_u16();
                // Something that changes things says what is missing.
                let expected: &[u16] = if method == "get" { &[200] } else { &[400, 415, 422] };
                assert!(expected.contains(&status), "{name} answers {method} {path} with {status}");
            }
        }
        assert_eq!(routes, count, "{name}");
    }

    // The same request again is the same order; another one of its number is none.
    assert_eq!(shop.place(&order(7, 3, 1177)).await, Answered::Yes);
    let Answered::No(why) = shop.place(&order(7, 4, 1177)).await else { panic!("an order was changed") };
    assert!(why.contains("key-reused"), "{why}");
    let second = shop.send("orders", "/v1/orders", "another key", &json!(order(7, 3, 1177))).await;
    assert!(matches!(&second, Answered::No(why) if why.contains("placed before")), "{second:?}");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_becomes_ready_alone_and_a_second_process_is_kept_out_of_its_store() {
    let mut shop = Shop::prepare(Cents(15_000), 8);
    for name in ALL {
        // Neither a broker nor any other service is there.
        shop.fleet.start_service(name).unwrap();
        shop.fleet.ready(name).await.unwrap();
        if name == "orders" {
            // An order is taken all the same, and waits.
            assert_eq!(shop.place(&order(7, 3, 1177)).await, Answered::Yes);
            let open = place_at_once(&shop, 8..=OPEN_ORDERS_MAX as u64 + 17).await;
            assert_eq!(open, OPEN_ORDERS_MAX - 1, "of one customer only so many may wait");
        }
        let mut second = Command::new(env!("CARGO_BIN_EXE_orders"));
        second.arg("--dir").arg(shop.fleet.dir()).args(["serve", name, "--listen", "127.0.0.1:0"]);
        let ended = second.stdin(Stdio::null()).env("RUST_LOG", "off").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot open the store in") && said.contains(name), "{said}");
        shop.fleet.end(name).await.unwrap();
    }
}

/// Has orders of the same customer placed at the same time; counts those that are. The others are told to come again.
async fn place_at_once(shop: &Shop, numbers: impl IntoIterator<Item = u64>) -> usize {
    let client = shop.fleet.client("orders");
    let placed = join_all(numbers.into_iter().map(async |number| {
        let call = client.post("/v1/orders").idempotency_key(format!("place-{number}"));
        ask(client, call.json(&order(number, 1, 500))).await
    }));
    let refused = |answer: &Result<Answered, FleetError>| match answer {
        Ok(Answered::Yes) => false,
        Err(FleetError::Unexpected { status: 409, body, .. }) if body.contains("too-many-open-orders") => true,
        other => panic!("an order was answered with {other:?}"),
    };
    placed.await.into_iter().filter(|answer| !refused(answer)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_followed_through_all_services() {
    let shop = Shop::start(Cents(15_000), 8).await;
    shop.deliver(7, 5).await;
    assert_eq!(as_request("a-request", shop.place(&order(7, 3, 1177))).await, Answered::Yes);
    shop.place(&order(17, 1, 500)).await;
    shop.ended(7).await;
    let traced = trace(&shop.fleet.clients(), "a-request").await.unwrap();
    let services: BTreeSet<_> = traced.iter().map(|traced| traced.service.as_str()).collect();
    assert_eq!(services, ALL.into_iter().collect(), "{traced:#?}");
    let of = |service: &str| {
        let of_service = traced.iter().filter(|traced| traced.service == service);
        of_service.map(|traced| traced.event.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("inventory"), ["stock-reserved"]);
    assert_eq!(of("payments"), ["payment-charged"]);
    assert_eq!(of("provider"), ["payment-charged"]);
    assert_eq!(of("shipping"), ["shipment-scheduled"]);
    assert!(of("orders").contains(&"order-shipped".to_owned()), "{traced:#?}");
    assert!(traced.iter().all(|traced| !traced.stream.ends_with("-17")), "{traced:#?}");
    shop.stop().await;
}
