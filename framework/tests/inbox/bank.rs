//! Two services: one sends money, the other receives it. Together they never have more or less.

use annalist::{
    Aggregate, App, AppBuilder, Command, Context, Decide, Decision, Event, Recorded, State, Store, emit, ensure,
    inbox::{HandleError, Inbox, InboxContext, InboxOptions, MemoryConsumer, Received},
    outbox::{IntegrationEvent, MapError, MemoryPublisher, Outbox},
};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "money-posted")]
    Posted { cents: i64 },
    #[event(name = "money-sent")]
    Sent { to: String, cents: i64 },
}

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) balance: i64,
}

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Posted { cents } => self.balance += cents,
            AccountEvent::Sent { cents, .. } => self.balance -= cents,
        }
    }
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "post")]
pub(crate) struct Post {
    pub(crate) cents: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "send")]
pub(crate) struct Send {
    pub(crate) to: String,
    pub(crate) cents: i64,
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("only {balance} cents are there")]
pub(crate) struct Overdrawn {
    balance: i64,
}

impl Decide<Post> for Account {
    type Rejection = Overdrawn;
    type Reply = i64;
    fn decide(&self, Post { cents }: &Post, _: &Context) -> Result<Decision<AccountEvent, i64>, Overdrawn> {
        ensure!(self.balance + cents >= 0, Overdrawn { balance: self.balance });
        Ok(emit(AccountEvent::Posted { cents: *cents }).reply(self.balance + cents))
    }
}

impl Decide<Send> for Account {
    type Rejection = Overdrawn;
    type Reply = ();
    fn decide(&self, send: &Send, _: &Context) -> Result<Decision<AccountEvent>, Overdrawn> {
        ensure!(self.balance >= send.cents, Overdrawn { balance: self.balance });
        Ok(emit(AccountEvent::Sent { to: send.to.clone(), cents: send.cents }))
    }
}

/// The contract between the two, in its second version: at first it did not say from where.
#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "giro")]
pub(crate) enum GiroEvent {
    #[event(name = "giro.money-sent", version = 2, upcast(from = SentV1))]
    Sent { from: String, to: String, cents: i64 },
}

#[derive(Deserialize)]
pub(crate) struct SentV1 {
    to: String,
    cents: i64,
}

impl From<SentV1> for GiroEvent {
    fn from(SentV1 { to, cents }: SentV1) -> Self {
        Self::Sent { from: "unknown".to_owned(), to, cents }
    }
}

pub(crate) fn public(recorded: &Recorded<AccountEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let AccountEvent::Sent { to, cents } = recorded.event.clone() else { return Ok(Vec::new()) };
    let from = recorded.record.stream_id().identifier().to_owned();
    Ok(vec![IntegrationEvent::of(&GiroEvent::Sent { from, to: to.clone(), cents }, to)?])
}

pub(crate) async fn receive(received: Received<GiroEvent>, cx: InboxContext) -> Result<(), HandleError> {
    let GiroEvent::Sent { to, cents, .. } = received.event;
    cx.on::<Account>(to).execute(Post { cents }).await?;
    Ok(())
}

pub(crate) const GIRO: &str = "urn:annalist:giro";

/// The service that sends, on a store of its own.
pub(crate) fn giro(store: Store, broker: &MemoryPublisher) -> AppBuilder {
    App::open(store).outbox(Outbox::new(broker.clone()).map_events(public))
}

/// An inbox that receives money.
pub(crate) fn savings_inbox(consumer: &MemoryConsumer) -> Inbox {
    Inbox::named("savings-giro").from(consumer.clone()).on(receive).options(hasty())
}

/// Few attempts, so that a test sees the last.
pub(crate) fn hasty() -> InboxOptions {
    let mut options = InboxOptions::default();
    options.attempts_max = 3;
    options
}

/// Number `id` of what the giro service has sent.
pub(crate) fn sent(consumer: &MemoryConsumer, id: &str, to: &str, cents: i64) {
    let data = format!(r#"{{"from":"a","to":"{to}","cents":{cents}}}"#);
    consumer.send_json(id, GIRO, "giro.money-sent.v2", to, data);
}

pub(crate) async fn balance(app: &App, account: &str) -> i64 {
    app.load::<Account>(&account.to_owned()).await.unwrap().state.balance
}
