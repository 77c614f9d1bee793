//! Two services: `giro` sends money, `savings` receives it. Together they never have more or less.

use annalist::{
    Aggregate, App, AppBuilder, Command, Context, Decide, Decision, Event, Recorded, State, Store, emit,
    inbox::{HandleError, Inbox, InboxContext, InboxOptions, Received},
    outbox::{IntegrationEvent, MapError},
};
use annalist_nats::{Jetstream, JetstreamConsumer};
use serde::{Deserialize, Serialize};

use super::hasty;

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
    /// What was posted, in order.
    pub(crate) posted: Vec<i64>,
}

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Posted { cents } => {
                self.balance += cents;
                self.posted.push(*cents);
            }
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

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("nothing can be posted that is negative")]
pub(crate) struct Negative;

impl Decide<Post> for Account {
    type Rejection = Negative;
    type Reply = ();
    fn decide(&self, Post { cents }: &Post, _: &Context) -> Result<Decision<AccountEvent>, Negative> {
        annalist::ensure!(*cents >= 0, Negative);
        Ok(emit(AccountEvent::Posted { cents: *cents }))
    }
}

impl Decide<Send> for Account {
    type Rejection = Negative;
    type Reply = ();
    fn decide(&self, Send { to, cents }: &Send, _: &Context) -> Result<Decision<AccountEvent>, Negative> {
        Ok(emit(AccountEvent::Sent { to: to.clone(), cents: *cents }))
    }
}

/// The contract between the two.
#[derive(Event, Clone, Debug)]
#[event(category = "giro")]
pub(crate) enum GiroEvent {
    #[event(name = "giro.money-sent")]
    Sent { to: String, cents: i64 },
}

fn public(recorded: &Recorded<AccountEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
    let AccountEvent::Sent { to, cents } = recorded.event.clone() else { return Ok(Vec::new()) };
    Ok(vec![IntegrationEvent::of(&GiroEvent::Sent { to: to.clone(), cents }, to)?])
}

/// Receives money; now and then it fails at the first attempt.
pub(crate) async fn receive(received: Received<GiroEvent>, cx: InboxContext) -> Result<(), HandleError> {
    let GiroEvent::Sent { to, cents } = received.event;
    if cents % 7 == 3 && cx.attempt() == 1 {
        return Err(HandleError::retry("not at the first attempt"));
    }
    cx.on::<Account>(to).execute(Post { cents }).await?;
    Ok(())
}

pub(crate) const GIRO: &str = "GIRO";
pub(crate) const SAVINGS: &str = "savings-giro";

/// Short pauses, so that much happens in a short test.
pub(crate) fn hasty_inbox() -> InboxOptions {
    let mut options = InboxOptions::default();
    options.backoff_min = std::time::Duration::from_millis(2);
    options.backoff_max = std::time::Duration::from_millis(50);
    options.attempts_max = 3;
    options.in_flight_max = 64;
    options
}

pub(crate) fn publisher(url: &str) -> Jetstream {
    Jetstream::at(url).stream(GIRO)
}

pub(crate) fn consumer(url: &str) -> JetstreamConsumer {
    JetstreamConsumer::at(url).stream(GIRO).context("savings")
}

pub(crate) fn giro(store: Store, publisher: Jetstream) -> AppBuilder {
    App::open(store).outbox(publisher.map(public).options(hasty()))
}

pub(crate) fn savings(store: Store, consumer: JetstreamConsumer) -> AppBuilder {
    App::open(store).inbox(Inbox::named(SAVINGS).from(consumer).on(receive).options(hasty_inbox()))
}

/// Number `number` of the transfers: how much, to whom.
pub(crate) fn transfer(number: i64) -> (String, i64) {
    (format!("account-{}", number % 5), number)
}

/// Sends the transfers number `from ..= to`.
pub(crate) async fn send(giro: &App, from: i64, to: i64) {
    for number in from..=to {
        let (to, cents) = transfer(number);
        giro.on::<Account>("alice".to_owned()).execute(Send { to, cents }).key(number.to_string()).await.unwrap();
    }
}

/// Every account must have received what was sent to it, each transfer once, in order.
pub(crate) async fn assert_received(savings: &App, count: i64) {
    for account in 0..5 {
        let name = format!("account-{account}");
        let expected: Vec<i64> =
            (1..=count).map(transfer).filter(|(to, _)| *to == name).map(|(_, cents)| cents).collect();
        let account = savings.load::<Account>(&name).await.unwrap().state;
        assert_eq!(account.posted, expected, "{name} must have each transfer once, in order");
    }
}
