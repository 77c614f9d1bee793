//! The account that the tests are about.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, emit_all, ensure, nothing};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "money-deposited", version = 2, upcast(from = DepositedV1))]
    Deposited {
        #[event(tag)]
        transfer: Option<String>,
        cents: u64,
    },
    #[event(name = "money-withdrawn")]
    Withdrawn { cents: u64 },
}

/// The first version counted in whole dollars.
#[derive(Deserialize)]
pub(crate) struct DepositedV1 {
    dollars: u64,
}

impl From<DepositedV1> for AccountEvent {
    fn from(old: DepositedV1) -> Self {
        Self::Deposited { transfer: None, cents: old.dollars * 100 }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) cents: u64,
}

impl State for Account {
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents, .. } => self.cents += cents,
            AccountEvent::Withdrawn { cents } => self.cents -= cents,
        }
    }
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("there are only {left} cents left")]
pub(crate) struct InsufficientFunds {
    pub(crate) left: u64,
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(name = "deposit")]
pub(crate) struct Deposit {
    pub(crate) cents: u64,
}

impl Decide<Deposit> for Account {
    type Rejection = InsufficientFunds;
    type Reply = u64;

    fn decide(&self, command: &Deposit, _: &Context) -> Result<Decision<AccountEvent, u64>, InsufficientFunds> {
        let deposited = AccountEvent::Deposited { transfer: None, cents: command.cents };
        Ok(emit(deposited).reply(self.cents + command.cents))
    }
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(name = "withdraw")]
pub(crate) struct Withdraw {
    pub(crate) cents: u64,
}

impl Decide<Withdraw> for Account {
    type Rejection = InsufficientFunds;
    type Reply = u64;

    fn decide(&self, command: &Withdraw, _: &Context) -> Result<Decision<AccountEvent, u64>, InsufficientFunds> {
        ensure!(self.cents >= command.cents, InsufficientFunds { left: self.cents });
        Ok(emit(AccountEvent::Withdrawn { cents: command.cents }).reply(self.cents - command.cents))
    }
}

/// Says whether there is so much, and changes nothing.
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(name = "check")]
pub(crate) struct Check {
    pub(crate) cents: u64,
}

impl Decide<Check> for Account {
    type Rejection = InsufficientFunds;
    type Reply = bool;

    fn decide(&self, command: &Check, _: &Context) -> Result<Decision<AccountEvent, bool>, InsufficientFunds> {
        Ok(nothing().reply(self.cents >= command.cents))
    }
}

/// Takes the money out and puts it in again, `times` times, under ids of its own.
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(name = "churn")]
pub(crate) struct Churn {
    pub(crate) times: u64,
}

impl Decide<Churn> for Account {
    type Rejection = InsufficientFunds;
    type Reply = ();

    fn decide(&self, command: &Churn, cx: &Context) -> Result<Decision<AccountEvent>, InsufficientFunds> {
        let pair = |turn| {
            let transfer = Some(cx.new_id(turn).to_string());
            let deposited = AccountEvent::Deposited { transfer, cents: self.cents };
            [AccountEvent::Withdrawn { cents: self.cents }, deposited]
        };
        Ok(emit_all((0..command.times).flat_map(pair)))
    }
}
