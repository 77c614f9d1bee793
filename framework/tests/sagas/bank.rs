//! The domain: accounts, and orders to transfer money from one to another.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, Events, State, emit, ensure, nothing};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "money-deposited")]
    Deposited { cents: u64, transfer: Option<String> },
    #[event(name = "money-withdrawn")]
    Withdrawn { cents: u64, transfer: Option<String> },
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "transfer")]
pub(crate) enum TransferEvent {
    #[event(name = "transfer-requested")]
    Requested { id: String, from: String, to: String, cents: u64 },
    #[event(name = "transfer-settled")]
    Settled { done: bool },
}

#[derive(Events, Clone, Debug)]
pub(crate) enum BankEvent {
    Account(AccountEvent),
    Transfer(TransferEvent),
}

#[derive(Default, Debug)]
pub(crate) struct Account {
    pub(crate) cents: u64,
}

impl State for Account {
    type Event = AccountEvent;
    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents, .. } => self.cents += cents,
            AccountEvent::Withdrawn { cents, .. } => self.cents -= cents,
        }
    }
}

impl Aggregate for Account {
    type Id = String;
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Refused {
    #[error("only {cents} cents are there")]
    InsufficientFunds { cents: u64 },
    #[error("the account takes no money")]
    Closed,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[command(name = "deposit")]
pub(crate) struct Deposit {
    pub(crate) cents: u64,
    pub(crate) transfer: Option<String>,
    /// Of an account that takes no money.
    pub(crate) closed: bool,
}

impl Decide<Deposit> for Account {
    type Rejection = Refused;
    type Reply = u64;
    fn decide(&self, deposit: &Deposit, _: &Context) -> Result<Decision<AccountEvent, u64>, Refused> {
        ensure!(!deposit.closed, Refused::Closed);
        let Deposit { cents, transfer, .. } = deposit;
        let event = AccountEvent::Deposited { cents: *cents, transfer: transfer.clone() };
        Ok(emit(event).reply(self.cents + cents))
    }
}

#[derive(Command, Serialize, Deserialize, Debug, PartialEq)]
#[command(name = "withdraw")]
pub(crate) struct Withdraw {
    pub(crate) cents: u64,
    pub(crate) transfer: Option<String>,
    /// Of an account whose withdrawals must be approved, which nobody does.
    pub(crate) slow: bool,
}

impl Decide<Withdraw> for Account {
    type Rejection = Refused;
    type Reply = u64;
    fn decide(&self, withdraw: &Withdraw, _: &Context) -> Result<Decision<AccountEvent, u64>, Refused> {
        let Withdraw { cents, transfer, slow } = withdraw;
        if *slow {
            return Ok(nothing().reply(self.cents));
        }
        ensure!(self.cents >= *cents, Refused::InsufficientFunds { cents: self.cents });
        let event = AccountEvent::Withdrawn { cents: *cents, transfer: transfer.clone() };
        Ok(emit(event).reply(self.cents - cents))
    }
}

#[derive(Default, Debug)]
pub(crate) struct Order {
    pub(crate) settled: Option<bool>,
}

impl State for Order {
    type Event = TransferEvent;
    fn evolve(&mut self, event: &TransferEvent) {
        if let TransferEvent::Settled { done } = event {
            self.settled = Some(*done);
        }
    }
}

impl Aggregate for Order {
    type Id = String;
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("the transfer is settled already")]
pub(crate) struct AlreadySettled;

#[derive(Command, Serialize, Deserialize, Debug, PartialEq)]
#[command(name = "request-transfer")]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) cents: u64,
}

impl Decide<Request> for Order {
    type Rejection = AlreadySettled;
    type Reply = ();
    fn decide(&self, request: &Request, _: &Context) -> Result<Decision<TransferEvent>, AlreadySettled> {
        let Request { id, from, to, cents } = request;
        let (id, from, to) = (id.clone(), from.clone(), to.clone());
        Ok(emit(TransferEvent::Requested { id, from, to, cents: *cents }))
    }
}

#[derive(Command, Serialize, Deserialize, Debug, PartialEq)]
#[command(name = "settle-transfer")]
pub(crate) struct Settle {
    pub(crate) done: bool,
}

impl Decide<Settle> for Order {
    type Rejection = AlreadySettled;
    type Reply = ();
    fn decide(&self, settle: &Settle, _: &Context) -> Result<Decision<TransferEvent>, AlreadySettled> {
        ensure!(self.settled.is_none(), AlreadySettled);
        Ok(emit(TransferEvent::Settled { done: settle.done }))
    }
}
