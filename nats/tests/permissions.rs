//! What a service may do at the broker, and what not: real users of a real server.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::sync::{Arc, Mutex};

use annalist::{Store, inbox::DeadLetters};
use annalist_nats::{Credentials, Jetstream, JetstreamConsumer, JetstreamOptions, Permissions, published};
use async_nats::{Client, ConnectOptions, Event, jetstream};
use support::{
    Server,
    bank::{SAVINGS, assert_received, consumer, giro, publisher, savings, send},
    within,
};

fn user(name: &str) -> Credentials {
    Credentials::UserPassword { user: name.to_owned(), password: format!("{name}-secret") }
}

fn options(name: &str) -> JetstreamOptions {
    let mut options = JetstreamOptions::default();
    options.reply_prefix = Some(format!("_INBOX_{name}"));
    options
}

fn giro_publisher(url: &str) -> Jetstream {
    publisher(url).credentials(user("giro")).options(options("giro"))
}

fn savings_consumer(url: &str) -> JetstreamConsumer {
    consumer(url).credentials(user("savings")).options(options("savings"))
}

/// A broker with the two services as its users, and an operator who may do anything.
async fn broker() -> Server {
    let giro = Permissions::of("giro", "giro-secret").publisher(&giro_publisher(""));
    let savings = Permissions::of("savings", "savings-secret").consumer(SAVINGS, &savings_consumer("")).unwrap();
    let account = Permissions::account("ANNALIST", [&giro, &savings]);
    let operator = "users: [\n      { user: \"operator\", password: \"operator-secret\" }\n";
    let mut server = Server::reserve().configured(&account.replacen("users: [\n", operator, 1));
    server.restart().await;
    server
}

/// A client of one of them, and what the broker has refused to it.
async fn client(server: &Server, name: &str) -> (Client, Arc<Mutex<Vec<String>>>) {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&refused);
    let connect = ConnectOptions::new()
        .user_and_password(name.to_owned(), format!("{name}-secret"))
        .custom_inbox_prefix(format!("_INBOX_{name}"))
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                noted.lock().unwrap().push(error.to_string());
            }
            async {}
        });
    (connect.connect(server.url()).await.unwrap(), refused)
}

#[tokio::test]
async fn services_work_with_the_permissions_that_are_made_for_them() {
    let server = broker().await;
    let giro = giro(Store::memory(), giro_publisher(&server.url())).start().await.unwrap();
    let savings = savings(Store::memory(), savings_consumer(&server.url())).start().await.unwrap();
    send(&giro, -1, -1).await;
    send(&giro, 1, 50).await;
    let settled =
        savings.inboxes().first().unwrap().until(|status| status.settled() == 51 || status.stopped().is_some());
    let status = within("all to be settled", settled).await;
    assert_eq!((status.handled, status.dead), (50, 1), "{status}");

    let letters = savings_consumer(&server.url()).dead_letters(SAVINGS);
    let letter = letters.list(0, 10).await.unwrap().remove(0);
    assert_eq!(letters.replay(letter.number).await, Ok(true));
    within("it to fail again", savings.inboxes().first().unwrap().until(|status| status.dead == 2)).await;
    let letter = letters.list(0, 10).await.unwrap().remove(0);
    assert_eq!(letters.discard(letter.number).await, Ok(true));
    assert_received(&savings, 50).await;
}

#[tokio::test]
async fn a_service_cannot_publish_as_another_nor_touch_what_is_not_its_own() {
    let server = broker().await;
    let giro = giro(Store::memory(), giro_publisher(&server.url())).start().await.unwrap();
    send(&giro, 1, 3).await;
    within("everything to be published", giro.relays().first().unwrap().drained()).await.unwrap();

    let (savings, refused) = client(&server, "savings").await;
    let forbidden = [
        "ev.giro.account.alice",
        "$JS.API.STREAM.DELETE.GIRO",
        "$JS.API.STREAM.PURGE.GIRO",
        "$JS.API.STREAM.UPDATE.GIRO",
        "$JS.API.STREAM.MSG.DELETE.GIRO",
        "$JS.API.CONSUMER.DELETE.GIRO.other",
        "$JS.API.CONSUMER.CREATE.GIRO.other",
        "$JS.API.STREAM.CREATE.OTHER",
        "dlq.giro.other",
    ];
    for subject in forbidden {
        savings.publish(subject, r#"{"seq":1}"#.into()).await.unwrap();
    }
    _ = savings.subscribe("_INBOX_giro.>").await.unwrap();
    _ = savings.subscribe("ev.>").await.unwrap();
    savings.flush().await.unwrap();
    within("the refusals", async {
        while refused.lock().unwrap().len() < forbidden.len() + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let refused = refused.lock().unwrap().join("\n").to_lowercase();
    for subject in forbidden.iter().chain(&["_INBOX_giro.>", "ev.>"]) {
        assert!(refused.contains(&format!("\"{}\"", subject.to_lowercase())), "{subject} must be refused: {refused}");
    }

    let (operator, _) = client(&server, "operator").await;
    let stream = jetstream::new(operator).get_stream("GIRO").await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 3);
}

#[tokio::test]
async fn who_one_is_may_stand_in_the_address() {
    let server = broker().await;
    let as_user = |who: &str| server.url().replace("nats://", &format!("nats://{who}@"));
    let publisher = publisher(&as_user("giro:giro%2Dsecret")).options(options("giro"));
    let giro = giro(Store::memory(), publisher).start().await.unwrap();
    send(&giro, 1, 3).await;
    within("everything to be published", giro.relays().first().unwrap().drained()).await.unwrap();
    assert_eq!(published(&as_user("operator:operator-secret"), "GIRO").await.unwrap().count(), 3);
    for who in ["operator:another", "operator", "nobody:operator-secret"] {
        assert!(published(&as_user(who), "GIRO").await.is_err(), "{who}");
    }
}
