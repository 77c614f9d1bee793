//! What one forgets: each trait says what to write.

use annalist::{Aggregate, App, Command, Event, State};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone)]
#[event(category = "account")]
enum AccountEvent {
    #[event(name = "account-opened")]
    Opened,
}

#[derive(Default)]
struct NoState;

#[derive(Default)]
struct NoAggregate;

impl State for NoAggregate {
    type Event = AccountEvent;
    fn evolve(&mut self, _: &AccountEvent) {}
}

#[derive(Default)]
struct Account;

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, _: &AccountEvent) {}
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "open")]
struct Open;

struct NoCommand;

fn forgotten(app: &App) {
    annalist::testing::given::<NoState>([]);
    let _ = app.on::<NoAggregate>("alice".to_owned());
    let _ = app.on::<Account>("alice".to_owned()).execute(Open);
    let _ = app.on::<Account>("alice".to_owned()).execute(NoCommand);
}

fn main() {}
