//! A saga of one command: what comes into an account whose name begins with `from-` is paid into another as well.

use annalist::{
    CommandSet, Recorded,
    saga::{Effects, Input, Route, Saga},
};
use serde::{Deserialize, Serialize};

use crate::{Account, AccountEvent, Deposit};

/// The saga. An instance takes two inputs, the deposit and the outcome of its command; with the command itself that is three
/// appends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Forward;

impl Saga for Forward {
    const NAME: &'static str = "forward";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Timer = ();

    fn commands(commands: &mut CommandSet) {
        commands.add::<Account, Deposit>();
    }

    fn route(event: &Recorded<AccountEvent>) -> Route {
        let stream = event.record.stream_id();
        let account = stream.identifier();
        if account.starts_with("from-") { Route::Start(account.to_owned()) } else { Route::Ignore }
    }

    fn evolve(&mut self, _: &Input<Self>) {}

    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Event(recorded) => {
                let AccountEvent::Deposited { cents, text } = recorded.event.clone();
                let to = format!("to-{}", recorded.record.stream_id().identifier());
                effects.send::<Account, _>(&to, Deposit { cents, text });
            }
            _ => {
                effects.complete();
            }
        }
    }
}
