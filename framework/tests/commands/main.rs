//! Commands through an app on a store in memory: what is recorded, what is repeated, what is refused, and what happens
//! when others write at the same time or the store fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod purse;
mod watched;

mod cache;
mod circumstances;
mod conflicts;
mod deadline;
mod failures;
mod inbox;
mod keys;
mod layers;
mod scopes;
mod shutdown;
mod snapshots;

use annalist::{App, CommandOptions, Receipt};

use account::{Account, Deposit, Withdraw};
use watched::Watched;

fn alice() -> String {
    "alice".to_owned()
}

/// Every command loads what it decides on, so that the store can be watched.
fn uncached() -> CommandOptions {
    let mut options = CommandOptions::default();
    options.cached_aggregates_max = 0;
    options
}

async fn app_on(watched: &Watched) -> App {
    App::open(watched.store()).command_options(uncached()).start().await.unwrap()
}

/// An app whose account has so much, and its store, which has noted nothing yet.
async fn app_with(cents: u64) -> (App, Watched) {
    let watched = Watched::default();
    let app = app_on(&watched).await;
    deposit(&app, cents).await;
    *watched.notes() = watched::Notes::default();
    (app, watched)
}

async fn deposit(app: &App, cents: u64) -> Receipt<u64> {
    app.on::<Account>(alice()).execute(Deposit { cents }).await.unwrap()
}

async fn withdraw(app: &App, cents: u64) -> Receipt<u64> {
    app.on::<Account>(alice()).execute(Withdraw { cents }).await.unwrap()
}

async fn balance(app: &App) -> u64 {
    app.load::<Account>(&alice()).await.unwrap().state.cents
}
