//! Accounts, a view of them, and a saga that thanks for a first deposit.

use annalist::{
    Aggregate, Command, CommandSet, Context, Decide, Decision, Event, Recorded, State, emit, ensure,
    outbox::IntegrationEvent,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
    saga::{Effects, Input, Route, Saga},
};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "money-deposited")]
    Deposited { account: String, cents: u64 },
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Account {
    cents: u64,
}

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, AccountEvent::Deposited { cents, .. }: &AccountEvent) {
        self.cents += cents;
    }
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(name = "deposit")]
pub(crate) struct Deposit {
    pub(crate) account: String,
    pub(crate) cents: u64,
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("nothing is no deposit")]
pub(crate) struct Nothing;

impl Decide<Deposit> for Account {
    type Rejection = Nothing;
    type Reply = u64;
    fn decide(&self, deposit: &Deposit, _: &Context) -> Result<Decision<AccountEvent, u64>, Nothing> {
        let Deposit { account, cents } = deposit.clone();
        ensure!(cents > 0, Nothing);
        Ok(emit(AccountEvent::Deposited { account, cents }).reply(self.cents + cents))
    }
}

pub(crate) struct Balances;
const BALANCES: Table<String, u64> = Table::new("balances");

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;
    async fn apply(&self, recorded: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let AccountEvent::Deposited { account, cents } = &recorded.event;
        if account == "cursed" {
            return Err(ApplyError::new("this account cannot be shown"));
        }
        tx.update(&BALANCES, account, |balance| *balance += cents)?;
        Ok(())
    }
}

/// Everyone who is no fund gets a cent from the bank, once.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Thanks;

impl Saga for Thanks {
    const NAME: &'static str = "thanks";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Timer = ();

    fn commands(commands: &mut CommandSet) {
        commands.add::<Account, Deposit>();
    }
    fn route(event: &Recorded<AccountEvent>) -> Route {
        let AccountEvent::Deposited { account, .. } = &event.event;
        if account.starts_with("fund") { Route::Ignore } else { Route::Start(account.clone()) }
    }
    fn evolve(&mut self, _: &Input<Self>) {}
    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>) {
        match input {
            Input::Event(Recorded { event: AccountEvent::Deposited { account, .. }, .. }) => {
                let account = format!("fund of {account}");
                effects.send::<Account, _>(&account, Deposit { account: account.clone(), cents: 1 });
            }
            _ => _ = effects.complete(),
        }
    }
}

pub(crate) fn public(recorded: &Recorded<AccountEvent>) -> Vec<IntegrationEvent> {
    let AccountEvent::Deposited { account, cents } = &recorded.event;
    vec![IntegrationEvent::json("bank.deposited.v1", account, cents).expect("a number is JSON")]
}
