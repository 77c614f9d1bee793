//! The four services, the provider and the broker as real processes.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[expect(unreachable_pub, dead_code, reason = "a module that other tests use more of")]
mod deployed;
#[expect(unreachable_pub, reason = "a module of this test alone")]
mod openapi;
#[expect(unreachable_pub, reason = "a module that other tests use, too")]
mod shop;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use annalist_store::{Backups, RestoreOptions};
use deployed::deploy;
use futures_util::future::join_all;
use openapi::{Sample, check, get};
use orders::{
    domain::{Cents, OPEN_ORDERS_MAX},
    fleet::{ALL, Answered, FleetBooks, FleetError, as_request, ask, trace},
    services::{
        inventory::{InventoryTotals, Reservation},
        orders::OrdersTotals,
        payments::{PaymentStatus, PaymentTotals},
        shipping::{ShipmentStatus, ShippingTotals},
    },
};
use serde_json::{Value, json};
use shop::{Shop, order, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

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

/// One of each route, in an order in which each can be answered.
fn samples() -> Vec<Sample> {
    let post = |service, path, parameter, body| Sample { service, method: "post", path, parameter, body };
    let charge = json!({ "order": 99, "customer": "00001", "amount_cents": 1177 });
    vec![
        post("inventory", "/shelves/{shelf}/deliveries", "7", Some(json!({ "cds": 5 }))),
        get("inventory", "/reservations/{order}", "7"),
        get("inventory", "/totals", ""),
        post("orders", "/orders", "", Some(json!(order(8, 2, 900)))),
        get("orders", "/orders/{order}", "7"),
        get("orders", "/customers/{customer}/orders", "00001"),
        get("orders", "/totals", ""),
        get("payments", "/payments/{order}", "7"),
        get("payments", "/totals", ""),
        get("shipping", "/shipments/{order}", "7"),
        get("shipping", "/totals", ""),
        post("provider", "/charges", "", Some(charge)),
        post("provider", "/charges/{order}/refund", "99", None),
        Sample { body: Some(json!({ "mood": "well" })), ..put_mood() },
        get("provider", "/mood", ""),
        get("provider", "/totals", ""),
    ]
}

fn put_mood() -> Sample {
    Sample { service: "provider", method: "put", path: "/mood", parameter: "", body: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_services_take_and_answer_is_what_their_documents_say() {
    let shop = Shop::start(Cents(15_000), 8).await;
    shop.deliver(7, 5).await;
    shop.place(&order(7, 3, 1177)).await;
    assert_eq!(shop.ended(7).await.status, "shipped");
    let mut documents = BTreeMap::new();
    for name in ALL {
        let document: Value = shop.read(name, "/v1/openapi.json").await;
        assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!(name)));
        documents.insert(name, (document, Vec::new()));
    }
    for (number, sample) in samples().iter().enumerate() {
        let client = shop.fleet.client(sample.service);
        let (_, exchanges) = documents.get_mut(sample.service).unwrap();
        let (key, body) = (format!("sample-{number}"), sample.body.as_ref());
        // A view may be a moment behind.
        let said = until("an answer", async || {
            let said = sample.exchange(client, sample.parameter, body, &key).await;
            (sample.method != "get" || said["status"] != 404).then_some(said)
        })
        .await;
        assert!((200..300).contains(&said["status"].as_u64().unwrap()), "{said}");
        let well = (said["status"].clone(), said["media"].clone(), said["answer"].clone());
        exchanges.push(said);
        // Whoever leaves something out of what is described is told so, as it is described.
        for field in body.and_then(Value::as_object).into_iter().flat_map(serde_json::Map::keys) {
            let mut body = body.unwrap().clone();
            body.as_object_mut().unwrap().remove(field);
            let said = sample.exchange(client, sample.parameter, Some(&body), &format!("{key}-{field}")).await;
            assert!([400, 422].contains(&said["status"].as_u64().unwrap()), "without {field}: {said}");
            let mut taken = said.clone();
            // As if it had been taken.
            (taken["status"], taken["media"], taken["answer"]) = well.clone();
            taken["wrong"] = json!(true);
            exchanges.push(taken);
        }
        // Who asks for what is not there is told so.
        if sample.method == "get" && sample.path.ends_with("{order}") {
            let (_, exchanges) = documents.get_mut(sample.service).unwrap();
            let said = sample.exchange(client, "4711", None, "none").await;
            assert_eq!((&said["status"], &said["media"]), (&json!(404), &json!("application/problem+json")));
            exchanges.push(said);
        }
    }
    for (name, (document, exchanges)) in documents {
        // All that is described has been asked.
        let operations = document["paths"].as_object().unwrap().iter();
        let described: BTreeSet<_> = operations
            .flat_map(|(path, of_path)| {
                of_path.as_object().unwrap().keys().map(move |method| (json!(path), json!(method)))
            })
            .map(|(path, method)| format!("{method} {path}"))
            .collect();
        let asked: BTreeSet<_> = exchanges.iter().map(|said| format!("{} {}", said["method"], said["path"])).collect();
        assert_eq!(described, asked, "{name}");
        // The check would see another answer.
        let others = exchanges.iter().filter_map(|said| {
            let mut other = said.clone();
            let (name, _) = said["answer"].as_object()?.iter().next()?;
            other["answer"][name.clone()] = json!([[]]);
            other["wrong"] = json!(true);
            Some(other)
        });
        let checked = check(&document, &exchanges.iter().cloned().chain(others).collect::<Vec<_>>());
        let told = [checked.stdout, checked.stderr].concat();
        assert!(checked.status.success(), "{name}:\n{}", String::from_utf8_lossy(&told));
    }
    shop.stop().await;
}

/// Publishes something as somebody; returns what the broker says to it.
async fn publish_as(shop: &Shop, user: &str, password: &str, subject: &str) -> String {
    let address = shop.fleet.nats_url().replace("nats://", "");
    let mut connection = TcpStream::connect(address).await.unwrap();
    let connect = json!({ "user": user, "pass": password, "verbose": false, "pedantic": false });
    let said = format!("CONNECT {connect}\r\nPUB {subject} 2\r\n{{}}\r\nPING\r\n");
    connection.write_all(said.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    // It answers the ping last, or hangs up.
    while !heard.windows(6).any(|said| said == b"PONG\r\n") {
        if connection.read_buf(&mut heard).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_deployments_accounts_orders_are_shipped_and_nobody_tells_as_another() {
    let mut shop = Shop::prepare(Cents(15_000), 8);
    // What is deployed: the wiring's own permissions, as another test has it.
    let password = |user: &str| format!("{user}-secret");
    shop.fleet.set_accounts(&deploy("kustomize/base/accounts.conf"), password);
    shop.start_all().await;
    shop.deliver(7, 100).await;
    shop.deliver(8, 100).await;
    assert_eq!(shop.place(&order(7, 3, 1177)).await, Answered::Yes);
    assert_eq!(shop.ended(7).await.status, "shipped");

    for (user, subject) in
        [("inventory", "ev.orders.order.7"), ("shipping", "ev.payments.payment.7"), ("orders", "ev.inventory.stock.7")]
    {
        let said = publish_as(&shop, user, &password(user), subject).await;
        assert!(said.contains(&format!("Permissions Violation for Publish to \"{subject}\"")), "{user}: {said}");
        // It is a matter of who asks for what: to look at its own stream it may.
        let own = format!("$JS.API.STREAM.INFO.{}", user.to_uppercase());
        let said = publish_as(&shop, user, &password(user), &own).await;
        assert!(said.contains("PONG") && !said.contains("-ERR"), "{user}: {said}");
    }
    for (user, password) in [("inventory", "another"), ("nobody", "nobody-secret"), ("", "")] {
        let said = publish_as(&shop, user, password, "ev.inventory.stock.7").await;
        assert!(said.contains("-ERR 'Authorization Violation'"), "{user}: {said}");
    }

    // Nothing of it came between what the services say: a message out of turn would have stopped them. With no is undone.
    assert_eq!(shop.place(&order(8, 9, 900)).await, Answered::Yes);
    assert_eq!(shop.ended(8).await.status, "cancelled");
    assert_eq!(shop.place(&order(17, 2, 900)).await, Answered::Yes);
    assert_eq!(shop.ended(17).await.status, "shipped");
    let books = FleetBooks::read(&shop.fleet).await.unwrap();
    assert_eq!((books.differences(), books.orders.shipped), (vec![], 2));
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_answers_costs_the_order_and_nothing_else() {
    let mut shop = Shop::prepare(Cents(15_000), 8);
    shop.fleet.set_variable("ORDERS_PATIENCE_MS", "2000");
    shop.fleet.start_broker().await.unwrap();
    let others: Vec<_> = ALL.into_iter().filter(|name| *name != "payments").collect();
    for name in &others {
        shop.fleet.start_service(name).unwrap();
    }
    for name in others {
        shop.fleet.ready(name).await.unwrap();
    }
    shop.deliver(7, 5).await;
    assert_eq!(as_request("the-order", shop.place(&order(7, 3, 1177))).await, Answered::Yes);

    // Until it turns back: it has asked for the CDs, for the money, and for the money back. (On a machine so slow that even
    // inventory takes too long it is over without payments.)
    let clients = [shop.fleet.client("orders").clone()];
    until("the deadline to pass", async || {
        let traced = trace(&clients, "the-order").await.ok()?;
        let asked = traced.iter().filter(|traced| traced.event == "errand-asked").count();
        let over = traced.iter().any(|traced| traced.event == "order-cancelled");
        (asked >= 3 || over).then_some(())
    })
    .await;
    // Payments learns of the charge and of the refund at once, and does what comes of both: nothing.
    shop.fleet.start_service("payments").unwrap();
    shop.fleet.ready("payments").await.unwrap();
    let ended = shop.ended(7).await;
    assert_eq!((&*ended.status, ended.stock.as_deref()), ("cancelled", Some("released")), "{ended:?}");
    assert!(ended.why.as_deref().is_some_and(|why| why.contains("was not done within 2s")), "{ended:?}");
    let books = until("the books to be closed", async || {
        let books = FleetBooks::read(&shop.fleet).await.unwrap();
        books.differences().is_empty().then_some(books)
    })
    .await;
    let left = (books.orders.cancelled, books.inventory.reserved_cds, books.payments.charged, books.shipping.parcels);
    assert_eq!(left, (1, 0, 0, 0), "{books:?}");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_service_makes_backups_that_are_restored_as_services() {
    let mut shop = Shop::prepare(Cents(15_000), 8);
    let folder = shop.fleet.dir().join("backups");
    shop.fleet.set_variable("BACKUPS", folder.to_str().unwrap());
    shop.fleet.set_variable("BACKUPS_EVERY_S", "1");
    shop.fleet.set_variable("BACKUPS_KEPT", "2");
    shop.start_all().await;
    shop.deliver(7, 50).await;
    as_request("the-order", shop.place(&order(7, 3, 1177))).await;
    assert_eq!(shop.ended(7).await.status, "shipped");
    let traced = trace(&[shop.fleet.client("orders").clone()], "the-order").await.unwrap();
    let shipped = traced.iter().map(|traced| traced.position).max().unwrap();

    // While orders come in, until there is a backup that has all of the first one.
    let backups = Backups::of(folder.join("orders"));
    let mut number = 7;
    until("a backup with the order", async || {
        // Of one customer only so many may wait.
        if number < 107 {
            number += 10;
            shop.place(&order(number, 1, 500)).await;
        }
        // Old ones are being removed meanwhile.
        let made = backups.list().ok()?.into_iter().filter_map(Result::ok).max_by_key(|backup| backup.number);
        made.filter(|backup| backup.head.position.get() >= shipped)
    })
    .await;
    shop.fleet.end("orders").await.unwrap();
    let made = backups.list().unwrap();
    assert!(made.len() <= 2, "{made:?}");

    // Nobody else is there, as when one rehearses it.
    let mut rehearsal = Shop::prepare(Cents(15_000), 8);
    let target = rehearsal.fleet.dir().join("orders/data");
    backups.restore(None, target, RestoreOptions::default(), |_| {}).unwrap();
    rehearsal.fleet.start_service("orders").unwrap();
    rehearsal.fleet.ready("orders").await.unwrap();
    assert_eq!(rehearsal.ended(7).await.status, "shipped");
    rehearsal.stop().await;
    shop.stop().await;
}
