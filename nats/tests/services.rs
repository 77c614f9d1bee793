//! Two services with a real broker between them.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use annalist::{
    App, AppBuilder, Event, Recorded, Store,
    inbox::{DeadLetters, DeathReason, HandleError, Inbox, InboxContext, InboxStatus, InboxStopped, Received},
    outbox::{IntegrationEvent, MapError},
};
use async_nats::{
    HeaderMap,
    jetstream::{
        self, AckKind,
        consumer::{PullConsumer, pull},
        stream::Config,
    },
};
use serde::Deserialize;
use support::{
    Server,
    bank::{
        Account, AccountEvent, GIRO, Post, SAVINGS, assert_received, consumer, giro, hasty_inbox, publisher, savings,
        send,
    },
    hasty, within,
};

async fn context(server: &Server) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn until(app: &App, what: &str, wanted: impl FnMut(&InboxStatus) -> bool) -> InboxStatus {
    within(what, app.inboxes().first().unwrap().until(wanted)).await
}

async fn balance(app: &App, account: &str) -> i64 {
    app.load::<Account>(&account.to_owned()).await.unwrap().state.balance
}

#[tokio::test]
async fn money_arrives_once_and_in_order_while_the_broker_is_killed() {
    let mut server = Server::reserve();
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    let savings = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    giro.on::<Account>("alice".to_owned()).execute(Post { cents: 1_000_000 }).await.unwrap();
    // Both work without a broker; what is sent waits.
    for round in 0..4 {
        send(&giro, round * 150 + 1, round * 150 + 150).await;
        server.restart().await;
        let some = u64::try_from(round * 150 + 20).unwrap();
        until(&savings, "some to be received", |status| status.settled() >= some).await;
        server.kill();
        until(&savings, "the loss to be noticed", |status| !status.is_connected()).await;
    }
    server.restart().await;
    within("everything to be published", giro.relays().first().unwrap().drained()).await.unwrap();
    within("everything to be received", async {
        while balance(&giro, "alice").await + total(&savings).await != 1_000_000 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_received(&savings, 600).await;
    assert_eq!(savings.inboxes().first().unwrap().status().dead, 0);
    savings.shutdown().await.unwrap();
    giro.shutdown().await.unwrap();
}

async fn total(app: &App) -> i64 {
    let mut total = 0;
    for account in 0..5 {
        total += balance(app, &format!("account-{account}")).await;
    }
    total
}

#[tokio::test]
async fn forced_repetitions_have_no_effect() {
    let server = Server::start().await;
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    send(&giro, 1, 100).await;
    let savings = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    until(&savings, "the first time", |status| status.handled == 100).await;
    let stream = context(&server).await.get_stream(GIRO).await.unwrap();
    let mut durable: PullConsumer = stream.get_consumer(SAVINGS).await.unwrap();
    durable.reset(Some(1)).await.unwrap();
    until(&savings, "the second time", |status| status.handled == 200).await;
    assert_received(&savings, 100).await;
}

#[tokio::test]
async fn a_dead_letter_goes_round() {
    let server = Server::start().await;
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    send(&giro, -1, -1).await;
    send(&giro, 1, 4).await;
    let savings = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    let status = until(&savings, "all to be settled", |status| status.settled() == 5).await;
    assert_eq!((status.dead, status.handled), (1, 4), "{status}");

    let letters = consumer(&server.url()).dead_letters(SAVINGS);
    let listed = letters.list(0, 10).await.unwrap();
    let [letter] = &*listed else { panic!("{listed:?}") };
    assert_eq!(
        (letter.death.reason, &*letter.death.error),
        (DeathReason::Refused, "nothing can be posted that is negative")
    );
    assert_eq!((&*letter.origin, letter.message.as_ref().unwrap().subject.as_deref()), ("GIRO 1", Some("account--1")));

    // As the broker has it: the message as it was, and headers that say why.
    let stored = context(&server).await.get_stream("DLQ_SAVINGS").await.unwrap();
    let stored = stored.get_raw_message(letter.number).await.unwrap();
    let header = |name: &str| stored.headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(stored.subject.as_str(), "dlq.savings.savings-giro");
    assert_eq!(
        (header("dlq-reason"), header("dlq-attempts"), header("dlq-stream-seq")),
        ("refused".into(), "1".into(), "1".into())
    );
    assert_eq!(header("ce-type"), "giro.money-sent.v1");
    assert!(stored.headers.get("Nats-Expected-Last-Sequence").is_none());

    // It fails again, and says where it first came from.
    assert_eq!(letters.replay(letter.number).await, Ok(true));
    until(&savings, "it to fail again", |status| status.dead == 2).await;
    let listed = letters.list(0, 10).await.unwrap();
    let [again] = &*listed else { panic!("{listed:?}") };
    assert_eq!((&again.message, &*again.origin), (&letter.message, "GIRO 1"));
    assert_eq!(letters.discard(again.number).await, Ok(true));
    assert_eq!(letters.list(0, 10).await, Ok(Vec::new()));
}

#[tokio::test]
async fn structured_messages_of_others_are_read() {
    let server = Server::start().await;
    let context = context(&server).await;
    context
        .create_stream(Config { name: GIRO.into(), subjects: vec!["else.>".into()], ..Config::default() })
        .await
        .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/cloudevents+json");
    let event = r#"{"specversion":"1.0","id":"1","source":"urn:else","type":"giro.money-sent.v1","subject":"account-1",
        "data":{"to":"account-1","cents":6}}"#;
    for _ in 0..2 {
        context.publish_with_headers("else.where", headers.clone(), event.into()).await.unwrap().await.unwrap();
    }
    let savings = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    let status = until(&savings, "both to be settled", |status| status.settled() == 2).await;
    assert_eq!((status.dead, balance(&savings, "account-1").await), (0, 6), "{status}");
}

#[tokio::test]
async fn a_consumer_waits_for_the_stream_of_another_service() {
    let server = Server::start().await;
    let savings = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    let told =
        |status: &InboxStatus| status.last_error.as_ref().is_some_and(|error| error.contains("does not exist yet"));
    until(&savings, "the reason", told).await;
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    send(&giro, 1, 10).await;
    until(&savings, "all to be received", |status| status.handled == 10).await;
    assert_received(&savings, 10).await;
}

#[tokio::test]
async fn what_is_there_and_another_is_refused_and_what_differs_is_said() {
    let server = Server::start().await;
    let context = context(&server).await;
    let stream = Config { name: GIRO.into(), subjects: vec!["ev.giro.>".into()], ..Config::default() };
    let stream = context.create_stream(stream).await.unwrap();
    let other = pull::Config {
        durable_name: Some(SAVINGS.into()),
        filter_subject: "ev.giro.other.>".into(),
        ack_policy: jetstream::consumer::AckPolicy::All,
        ..pull::Config::default()
    };
    stream.create_consumer(other).await.unwrap();
    assert_refused(&server, &["savings-giro", "ack policy is All, not Explicit", "ev.giro.other.>"]).await;

    let dead = Config { name: "DLQ_SAVINGS".into(), subjects: vec!["dlq.else.>".into()], ..Config::default() };
    context.delete_stream("DLQ_SAVINGS").await.unwrap();
    context.create_stream(dead).await.unwrap();
    assert_refused(&server, &["the stream DLQ_SAVINGS", "dlq.else.>", "dlq.savings.>"]).await;
}

async fn assert_refused(server: &Server, said: &[&str]) {
    let app = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    let status = until(&app, "the refusal", |status| status.stopped().is_some()).await;
    let Some(InboxStopped::Misconfigured { detail }) = status.stopped() else { panic!("{status}") };
    for said in said {
        assert!(detail.contains(said), "{detail} must say {said}");
    }
}

#[tokio::test]
async fn other_times_and_counts_are_taken_over() {
    let server = Server::start().await;
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    send(&giro, 1, 10).await;
    within("everything to be published", giro.relays().first().unwrap().drained()).await.unwrap();
    let stream = context(&server).await.get_stream(GIRO).await.unwrap();
    let old = pull::Config { durable_name: Some(SAVINGS.into()), max_ack_pending: 2, ..pull::Config::default() };
    let old = stream.create_consumer(old).await.unwrap();
    let first = old.fetch().max_messages(1).messages().await.unwrap();
    let mut first = Box::pin(first);
    let first = futures_util::StreamExt::next(&mut first).await.unwrap().unwrap();
    first.double_ack_with(AckKind::Ack).await.unwrap();
    let savings = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    until(&savings, "the others", |status| status.handled == 9).await;
    let info = stream.consumer_info(SAVINGS).await.unwrap();
    assert_eq!(info.config.max_ack_pending, 64);
}

/// The contract after a change that old programs cannot read: it says from where.
#[derive(Event, Clone, Debug)]
#[event(category = "giro")]
enum LaterEvent {
    #[event(name = "giro.money-sent", version = 2, upcast(from = SentV1))]
    Sent { from: String, to: String, amount: i64 },
}

#[derive(Deserialize)]
struct SentV1 {
    to: String,
    cents: i64,
}

impl From<SentV1> for LaterEvent {
    fn from(SentV1 { to, cents }: SentV1) -> Self {
        Self::Sent { from: "unknown".to_owned(), to, amount: cents }
    }
}

fn later_public(recorded: &Recorded<AccountEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let AccountEvent::Sent { to, cents } = recorded.event.clone() else { return Ok(Vec::new()) };
    let from = recorded.record.stream_id().identifier().to_owned();
    Ok(vec![IntegrationEvent::of(&LaterEvent::Sent { from, to: to.clone(), amount: cents }, to)?])
}

async fn later_receive(received: Received<LaterEvent>, cx: InboxContext) -> Result<(), HandleError> {
    let LaterEvent::Sent { from, to, amount } = received.event;
    assert!(["alice", "unknown"].contains(&&*from));
    cx.on::<Account>(to).execute(Post { cents: amount }).await?;
    Ok(())
}

/// The service that receives, as it is after the change.
fn later_savings(server: &Server) -> AppBuilder {
    let inbox = Inbox::named(SAVINGS).from(consumer(&server.url()));
    App::open(Store::memory()).inbox(inbox.on(later_receive).options(hasty_inbox()))
}

#[tokio::test]
async fn a_new_consumer_reads_what_an_old_producer_says() {
    let server = Server::start().await;
    let giro = giro(Store::memory(), publisher(&server.url())).start().await.unwrap();
    let savings = later_savings(&server).start().await.unwrap();
    send(&giro, 1, 20).await;
    let status = until(&savings, "all to be settled", |status| status.settled() == 20).await;
    assert_eq!(status.dead, 0, "{status}");
    assert_received(&savings, 20).await;
}

#[tokio::test]
async fn an_old_consumer_puts_aside_what_a_new_producer_says_until_it_is_upgraded() {
    let server = Server::start().await;
    let outbox = publisher(&server.url()).map(later_public).options(hasty());
    let giro = App::open(Store::memory()).outbox(outbox).start().await.unwrap();
    let old = savings(Store::memory(), consumer(&server.url())).start().await.unwrap();
    send(&giro, 1, 20).await;
    let status = until(&old, "all to be settled", |status| status.settled() == 20).await;
    assert_eq!((status.handled, status.dead), (0, 20), "{status}");
    old.shutdown().await.unwrap();
    let letters = consumer(&server.url()).dead_letters(SAVINGS);
    let dead = letters.list(0, 100).await.unwrap();
    assert!(dead.iter().all(|letter| letter.death.reason == DeathReason::Unreadable), "{dead:?}");

    let upgraded = later_savings(&server).start().await.unwrap();
    for (count, letter) in (1..).zip(&dead) {
        assert_eq!(letters.replay(letter.number).await, Ok(true));
        until(&upgraded, "it to be handled", |status| status.handled == count).await;
    }
    assert_received(&upgraded, 20).await;
    assert_eq!(letters.list(0, 10).await, Ok(Vec::new()));
}
