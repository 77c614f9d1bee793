//! An account, its balances as a view, and a service around them.

use annalist::{
    Aggregate, App, AppBuilder, Command, Context, Decide, Decision, Event, Recorded, State, Store, emit, ensure,
    outbox::{IntegrationEvent, MapError},
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use annalist_core::RecordedEvent;
use annalist_service::{IdempotencyKey, Problem, Running, Service, ShutdownOptions};
use axum::{Json, Router, extract::Path, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "money-posted")]
    Posted { cents: i64 },
}

#[derive(Default)]
pub(crate) struct Account {
    balance: i64,
}

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, AccountEvent::Posted { cents }: &AccountEvent) {
        self.balance += cents;
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

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("only {balance} cents are there")]
pub(crate) struct Overdrawn {
    balance: i64,
}

impl Decide<Post> for Account {
    type Rejection = Overdrawn;
    type Reply = i64;
    fn decide(&self, post: &Post, _: &Context) -> Result<Decision<AccountEvent, i64>, Overdrawn> {
        let balance = self.balance + post.cents;
        ensure!(balance >= 0, Overdrawn { balance: self.balance });
        Ok(emit(AccountEvent::Posted { cents: post.cents }).reply(balance))
    }
}

pub(crate) struct Balances;

const BALANCES: Table<String, i64> = Table::new("balances");

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let AccountEvent::Posted { cents } = recorded.event;
        // An amount that nobody posts in earnest.
        if cents == 13 {
            return Err(std::io::Error::other("it brings bad luck").into());
        }
        tx.update(&BALANCES, &recorded.record.stream().to_owned(), |balance| *balance += cents)?;
        Ok(())
    }
}

pub(crate) fn public(event: &RecordedEvent) -> Result<Vec<IntegrationEvent>, MapError> {
    Ok(vec![IntegrationEvent::json("money-posted", event.stream(), &event.position.get())?])
}

pub(crate) fn wiring() -> AppBuilder {
    App::open(Store::memory()).projection(Balances)
}

pub(crate) fn routes(app: App) -> Router {
    let posted = async |app: App, account: String, key: Option<IdempotencyKey>, post: Post| {
        let execute = app.on::<Account>(account).execute(post);
        let receipt = match key {
            Some(key) => execute.key(key).await?,
            None => execute.await?,
        };
        Ok::<_, Problem>(Json(json!({ "balance": receipt.reply, "repeated": receipt.repeated })))
    };
    let handler = move |Path(account): Path<String>, key: Option<IdempotencyKey>, Json(post): Json<Post>| async move {
        posted(app, account, key, post).await
    };
    Router::new().route("/accounts/{account}", post(handler))
}

/// Ends without waiting for anybody.
pub(crate) fn soon() -> ShutdownOptions {
    let mut ending = ShutdownOptions::default();
    ending.unready_pause = std::time::Duration::ZERO;
    ending
}

pub(crate) async fn started(service: Service) -> Running {
    service.listen(([127, 0, 0, 1], 0)).start().await.unwrap()
}

/// Asks a service, without anything between.
#[expect(clippy::disallowed_methods, reason = "a test sees what is sent as it is")]
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::new()
}

/// The status and the body of an answer.
pub(crate) async fn get(running: &Running, path: &str) -> (u16, Value) {
    let answer = http().get(format!("http://{}{path}", running.addr())).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}
