//! The domain: what can happen to an account, and who decides about it. Pure functions, no store.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure};
use serde::{Deserialize, Serialize};

/// What can happen. These names stand in the log for ever; Rust's names may change.
#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "account-opened")]
    Opened,
    #[event(name = "money-deposited")]
    Deposited { amount: u32 },
    #[event(name = "money-withdrawn")]
    Withdrawn { amount: u32 },
}

/// What a decision must know of an account.
#[derive(Default)]
pub(crate) struct Account {
    open: bool,
    balance: u64,
}

impl State for Account {
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened => self.open = true,
            AccountEvent::Deposited { amount } => self.balance += u64::from(*amount),
            AccountEvent::Withdrawn { amount } => self.balance -= u64::from(*amount),
        }
    }
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "open-account")]
pub(crate) struct Open;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "deposit")]
pub(crate) struct Deposit(pub(crate) u32);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "withdraw")]
pub(crate) struct Withdraw(pub(crate) u32);

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Refused {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("there is no such account")]
    NotOpen,
    #[error("there is only {balance} in the account")]
    InsufficientFunds { balance: u64 },
}

/// The events and the new balance, or why not.
type Decided = Result<Decision<AccountEvent, u64>, Refused>;

impl Decide<Open> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, _: &Open, _: &Context) -> Decided {
        ensure!(!self.open, Refused::AlreadyOpen);
        Ok(emit(AccountEvent::Opened).reply(0))
    }
}

impl Decide<Deposit> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, &Deposit(amount): &Deposit, _: &Context) -> Decided {
        ensure!(self.open, Refused::NotOpen);
        Ok(emit(AccountEvent::Deposited { amount }).reply(self.balance + u64::from(amount)))
    }
}

impl Decide<Withdraw> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, &Withdraw(amount): &Withdraw, _: &Context) -> Decided {
        ensure!(self.open, Refused::NotOpen);
        ensure!(self.balance >= amount.into(), Refused::InsufficientFunds { balance: self.balance });
        Ok(emit(AccountEvent::Withdrawn { amount }).reply(self.balance - u64::from(amount)))
    }
}
