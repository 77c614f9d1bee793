//! Accounts: what can happen to one, and what it decides by itself.

use annalist::{Aggregate, Command, Context, Decide, Decision, Event, State, emit, ensure};
use serde::{Deserialize, Serialize};

/// What can happen to an account. These names stand in the log for ever; Rust's names may change. Money is in cents.
#[derive(Event, Clone, Debug, PartialEq)]
#[event(category = "account")]
pub enum AccountEvent {
    /// It was opened, for somebody.
    #[event(name = "account-opened")]
    Opened {
        /// Whose it is.
        #[event(tag)]
        owner: String,
    },
    /// Money came in.
    #[event(name = "money-deposited")]
    Deposited {
        /// How much.
        amount: u64,
        /// The transfer that it is part of.
        #[event(tag)]
        transfer: Option<String>,
    },
    /// Money went out.
    #[event(name = "money-withdrawn")]
    Withdrawn {
        /// How much.
        amount: u64,
        /// The transfer that it is part of.
        #[event(tag)]
        transfer: Option<String>,
    },
    /// So much money went out that the owner's limit had a say.
    #[event(name = "large-withdrawal-made")]
    LargeWithdrawn {
        /// Out of which account: those who look at all accounts of an owner must tell them apart.
        account: String,
        /// How much.
        amount: u64,
        /// Whose limit it counts for.
        #[event(tag)]
        owner: String,
        /// The day since 1970, by UTC.
        day: i64,
    },
}

/// What a decision must know of an account.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Whose it is; `None` before it is opened.
    pub owner: Option<String>,
    /// What it holds.
    pub balance: u64,
}

impl State for Account {
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { owner } => self.owner = Some(owner.clone()),
            AccountEvent::Deposited { amount, .. } => self.balance += amount,
            AccountEvent::Withdrawn { amount, .. } | AccountEvent::LargeWithdrawn { amount, .. } => {
                self.balance -= amount;
            }
        }
    }
}

impl Aggregate for Account {
    type Id = String;
}

/// Opens an account.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "open-account")]
pub struct Open {
    /// For whom.
    pub owner: String,
}

/// Puts money in.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "deposit")]
pub struct Deposit {
    /// How much.
    pub amount: u64,
    /// The transfer that it is part of.
    pub transfer: Option<String>,
}

/// Takes money out.
#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "withdraw")]
pub struct Withdraw {
    /// How much.
    pub amount: u64,
    /// The transfer that it is part of.
    pub transfer: Option<String>,
}

/// Why an account refuses.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum Refused {
    /// It is there already.
    #[error("the account is open already")]
    AlreadyOpen,
    /// It is not there.
    #[error("there is no such account")]
    NotOpen,
    /// It holds less.
    #[error("there is only {balance} in the account")]
    InsufficientFunds {
        /// What it holds.
        balance: u64,
    },
    /// It would hold more than can be counted.
    #[error("an account cannot hold that much")]
    TooMuch,
}

/// The events and the new balance, or why not.
type Decided = Result<Decision<AccountEvent, u64>, Refused>;

impl Account {
    /// What is left when so much is taken out.
    pub(super) fn less(&self, amount: u64) -> Result<u64, Refused> {
        ensure!(self.owner.is_some(), Refused::NotOpen);
        self.balance.checked_sub(amount).ok_or(Refused::InsufficientFunds { balance: self.balance })
    }
}

impl Decide<Open> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, open: &Open, _: &Context) -> Decided {
        ensure!(self.owner.is_none(), Refused::AlreadyOpen);
        Ok(emit(AccountEvent::Opened { owner: open.owner.clone() }).reply(0))
    }
}

impl Decide<Deposit> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, deposit: &Deposit, _: &Context) -> Decided {
        ensure!(self.owner.is_some(), Refused::NotOpen);
        let balance = self.balance.checked_add(deposit.amount).ok_or(Refused::TooMuch)?;
        let Deposit { amount, transfer } = deposit.clone();
        Ok(emit(AccountEvent::Deposited { amount, transfer }).reply(balance))
    }
}

impl Decide<Withdraw> for Account {
    type Rejection = Refused;
    type Reply = u64;

    fn decide(&self, withdraw: &Withdraw, _: &Context) -> Decided {
        let balance = self.less(withdraw.amount)?;
        let Withdraw { amount, transfer } = withdraw.clone();
        Ok(emit(AccountEvent::Withdrawn { amount, transfer }).reply(balance))
    }
}
