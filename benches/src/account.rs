//! A small domain: accounts, and a view of them.

use annalist::{
    Aggregate, Command, Context, Decide, Decision, Event, Recorded, State, emit, ensure,
    projection::{ApplyError, Embedded, Projection, Table, Tx},
};
use serde::{Deserialize, Serialize};

/// What happens to accounts.
#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub enum AccountEvent {
    /// Money came in. The text fills the payload up to the size that the other benches have.
    #[event(name = "money-deposited")]
    Deposited {
        /// How much.
        cents: u64,
        /// What for.
        text: String,
    },
}

/// An account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    balance: u64,
}

impl State for Account {
    type Event = AccountEvent;

    fn evolve(&mut self, AccountEvent::Deposited { cents, .. }: &AccountEvent) {
        self.balance += cents;
    }
}

impl Aggregate for Account {
    type Id = String;
}

/// Puts money into an account.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "deposit")]
pub struct Deposit {
    /// How much.
    pub cents: u64,
    /// What for.
    pub text: String,
}

/// Nothing is no deposit.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("refused")]
pub struct Refused;

impl Decide<Deposit> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, command: &Deposit, _: &Context) -> Result<Decision<AccountEvent, u64>, Refused> {
        let Deposit { cents, text } = command.clone();
        ensure!(cents > 0, Refused);
        Ok(emit(AccountEvent::Deposited { cents, text }).reply(self.balance + cents))
    }
}

/// What each account holds.
pub const BALANCES: Table<String, u64> = Table::new("balances");

/// The projection that keeps the view.
#[derive(Clone, Copy, Debug)]
pub struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let AccountEvent::Deposited { cents, .. } = event.event;
        tx.update(&BALANCES, &event.record.stream_id().identifier().to_owned(), |balance| *balance += cents)?;
        Ok(())
    }
}
