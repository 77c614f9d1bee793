//! Services whose stores were restored from a backup, and the broker, which was not.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[path = "../../tests/shared/restoring.rs"]
mod restoring;
mod support;

use std::sync::Arc;

use annalist::outbox::{Outbox, Stopped};
use annalist_core::EventStore as _;
use annalist_nats::Jetstream;
use annalist_store::Store;
use restoring::{back_up, back_up_closed, restore};
use support::{
    Server, assert_holds_orders,
    bank::{SAVINGS, assert_received, consumer, giro, publisher, savings, send},
    drained, hasty, order_id, place_orders, public, relay, until, within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_of_which_nothing_was_lost_goes_on() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let store = Store::open(&dir).unwrap();
    place_orders(&store, 1, 100).await;
    let first = relay(&server, &store);
    drained(&first).await;
    first.shutdown().await;
    back_up(&store, &backups).await;
    place_orders(&store, 101, 120).await;
    store.close().await.unwrap();
    restore(&backups, &dir, None);

    for last in [150, 160] {
        let store = Store::open(&dir).unwrap();
        place_orders(&store, last - if last == 150 { 49 } else { 9 }, last).await;
        let relay = relay(&server, &store);
        drained(&relay).await;
        assert_holds_orders(&server.url(), last).await;
        relay.shutdown().await;
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_has_published_what_was_lost_stops_until_it_has_a_stream_of_its_own() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let store = Store::open(&dir).unwrap();
    let first = relay(&server, &store);
    place_orders(&store, 1, 50).await;
    // Under load: orders are published while the backup is made.
    let (kept, ()) = tokio::join!(back_up(&store, &backups), place_orders(&store, 51, 100));
    place_orders(&store, 101, 120).await;
    drained(&first).await;
    let last = first.shutdown().await.last.unwrap();
    store.close().await.unwrap();
    restore(&backups, &dir, None);

    let store = Store::open(&dir).unwrap();
    // More than were lost, so that positions alone would not tell.
    place_orders(&store, 1001, 1200).await;
    let head = store.head().await.unwrap();
    let second = relay(&server, &store);
    let status = until(&second, "the refusal", |status| status.stopped().is_some()).await;
    assert_eq!(status.stopped(), Some(&Stopped::Foreign { last, head }));
    let said = format!(
        "the broker's last message was made of event {} at {}, which is not in this log (head {head}): another store publishes \
         there, or this one is an older copy; publish to a new stream, or bring back the store that wrote it",
        last.event_id, last.cursor
    );
    assert_eq!(status.stopped().unwrap().to_string(), said);
    assert_holds_orders(&server.url(), 120).await;

    // What the operator does: another stream, and the source of before, so that consumers know again what they have.
    let publisher = Jetstream::at(server.url()).stream("ORDERS_2").source("urn:annalist:orders");
    let outbox = Outbox::new(publisher).map(public).options(hasty());
    let third = outbox.start(Arc::new(store.clone()), Arc::new(store.clone()));
    drained(&third).await;
    let stored = within("the messages", async {
        annalist_nats::published(&server.url(), "ORDERS_2").await.unwrap().all().await.unwrap()
    });
    let ids: Vec<String> = stored.await.iter().map(|message| message.id().to_owned()).collect();
    let orders = (1..=kept.get()).chain(1001..=1200);
    assert_eq!(ids, orders.map(|order| order_id(order).to_string()).collect::<Vec<_>>());
    third.shutdown().await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_has_the_broker_deliver_again_what_was_lost() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let (dir, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let giro = giro(annalist::Store::memory(), publisher(&server.url())).start().await.unwrap();
    send(&giro, 1, 200).await;
    let open = || annalist::Store::embedded(&dir).unwrap();
    let handled = async |count: u64| {
        let app = savings(open(), consumer(&server.url())).start().await.unwrap();
        let inbox = app.inboxes().first().unwrap();
        within("the messages to be handled", inbox.until(|status| status.handled >= count && status.lag() == 0)).await;
        app.shutdown().await.unwrap();
    };
    handled(200).await;
    back_up_closed(&dir, &backups).await;
    send(&giro, 201, 500).await;
    handled(300).await;
    let before = acknowledged(&server).await;
    assert_eq!(before, 500, "the broker takes all of them for done");
    restore(&backups, &dir, None);

    send(&giro, 501, 600).await;
    handled(400).await;
    let app = savings(open(), consumer(&server.url())).start().await.unwrap();
    assert_received(&app, 600).await;
    let inbox = app.inboxes().first().unwrap();
    send(&giro, 601, 610).await;
    let status = within("the last", inbox.until(|status| status.handled >= 10 && status.lag() == 0)).await;
    assert_eq!(status.handled, 10, "nothing is asked for twice: {status}");
    assert_received(&app, 610).await;
    app.shutdown().await.unwrap();
    giro.shutdown().await.unwrap();
}

/// Up to where the broker takes messages for handled.
async fn acknowledged(server: &Server) -> u64 {
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let stream = context.get_stream(support::bank::GIRO).await.unwrap();
    let mut consumer: async_nats::jetstream::consumer::PullConsumer = stream.get_consumer(SAVINGS).await.unwrap();
    consumer.info().await.unwrap().ack_floor.stream_sequence
}
