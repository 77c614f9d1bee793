//! A service with everything at its edge: accounts that money is posted to, a view of their balances, exchange rates asked
//! of another service.
//!
//! ```sh
//! cargo run --package annalist-service --example payments
//! curl -i localhost:8080/v2/accounts/alice/postings -H 'Idempotency-Key: 1' --json '{"cents": 50}'
//! curl -i localhost:8080/v2/accounts/alice
//! curl -i localhost:8080/v2/accounts/alice/in/EUR      # nobody knows rates here: x-degraded says so
//! curl -i localhost:8080/health
//! ```

use std::{env, error::Error, net::SocketAddr, time::Duration};

use annalist::{
    Aggregate, App, AppBuilder, Command, Context, Decide, Decision, Event, Recorded, State, Store, Timestamp, emit,
    ensure,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use annalist_service::{
    ApiVersion, BreakerPolicy, IdempotencyKey, Problem, Service, init_logs,
    outbound::{Answer, Bulkhead, Clients, OutboundClient, RetryBudget},
};
use axum::{
    Json, Router,
    extract::{Path, State as Shared},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "money-posted")]
    Posted { cents: i64 },
}

#[derive(Default)]
struct Account {
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
struct Post {
    cents: i64,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("only {balance} cents are there")]
struct Overdrawn {
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

struct Balances;

const BALANCES: Table<String, i64> = Table::new("balances");

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, recorded: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let AccountEvent::Posted { cents } = recorded.event;
        tx.update(&BALANCES, &recorded.record.stream().to_owned(), |balance| *balance += cents)?;
        Ok(())
    }
}

/// What handlers share.
#[derive(Clone)]
struct Payments {
    app: App,
    rates: OutboundClient,
}

async fn post_money(
    Shared(payments): Shared<Payments>,
    Path(account): Path<String>,
    key: IdempotencyKey,
    Json(post): Json<Post>,
) -> Result<Json<Value>, Problem> {
    let receipt = payments.app.on::<Account>(account).execute(post).key(key).await?;
    Ok(Json(json!({ "balance": receipt.reply, "repeated": receipt.repeated })))
}

async fn balance_of(payments: &Payments, account: &str) -> Result<i64, Problem> {
    let view = payments.app.view::<Balances>()?.after(payments.app.head().await?);
    let none = || Problem::new(StatusCode::NOT_FOUND).kind("no-account", "There is no such account");
    view.get(&BALANCES, &format!("account-{account}")).await?.ok_or_else(none)
}

async fn balance(Shared(payments): Shared<Payments>, Path(account): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "balance": balance_of(&payments, &account).await? })))
}

#[derive(Deserialize)]
struct Rate {
    rate: f64,
}

async fn converted(
    Shared(payments): Shared<Payments>,
    Path((account, currency)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let cents = balance_of(&payments, &account).await?;
    let answer = payments.rates.get(&format!("/rates/{currency}")).send().await?;
    let unreadable = |_| Problem::new(StatusCode::BAD_GATEWAY).kind("rate-unreadable", "The rate cannot be read");
    let Rate { rate } = answer.read().map_err(unreadable)?;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let converted = cents as f64 * rate;
    Ok(Json(json!({ "cents": converted, "approximate": answer.degraded().is_some() })))
}

/// The routes of both versions: the second has more.
fn routes(payments: Payments) -> (Router, Router) {
    let common = Router::new().route("/accounts/{account}/postings", post(post_money));
    let common = common.route("/accounts/{account}", get(balance));
    let second = common.clone().route("/accounts/{account}/in/{currency}", get(converted));
    (common.with_state(payments.clone()), second.with_state(payments))
}

fn wiring(store: Store) -> AppBuilder {
    App::open(store).command::<Account, Post>().projection(Balances)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    init_logs();
    let of = |name: &str, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let listen: SocketAddr = of("PAYMENTS_LISTEN", "127.0.0.1:8080").parse()?;
    let clients = Clients::default();
    let rates = clients
        .client("rates", &of("PAYMENTS_RATES", "http://127.0.0.1:8081"))?
        .timeout(Duration::from_millis(80))
        .retry_budget(RetryBudget::default())
        .breaker(BreakerPolicy::default())
        .bulkhead(Bulkhead::new(32))
        .fallback(async |_missed| Answer::json(&json!({ "rate": 1.0 })).ok())
        .build()?;

    let first = ApiVersion::new("v1").deprecated(Timestamp::from_micros(1_767_225_600_000_000), "v2");
    let payments = move |app| Payments { app, rates: rates.clone() };
    let again = payments.clone();
    let store = Store::embedded(of("PAYMENTS_DATA", "target/payments"))?;
    Service::new("payments", wiring(store))
        .version(first, move |app| routes(payments(app)).0)
        .version(ApiVersion::new("v2"), move |app| routes(again(app)).1)
        .clients(&clients)
        .listen(listen)
        .run()
        .await?;
    Ok(())
}
