//! A rule that no single account can keep: at most three large withdrawals for each owner and day, across all accounts.

use annalist::{
    Command, Context, Decide, Decision, Invalid, Query, QueryItem, Scope, State, StreamId, Tag, emit, ensure,
};
use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, Refused};

/// From this amount on a withdrawal is large.
pub const LARGE: u64 = 1_000;
/// Large withdrawals that an owner may make on one day.
pub const LARGE_PER_DAY: usize = 3;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Takes a large amount out of an account.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(name = "withdraw-large")]
pub struct WithdrawLarge {
    /// Out of which account.
    pub account: String,
    /// Whose it is: who has asked must know, because the query is made of it.
    pub owner: String,
    /// How much.
    pub amount: u64,
}

/// What the rule must know: the account, and the large withdrawals of its owner from all accounts.
#[derive(Default, Debug)]
pub struct LargeWithdrawals {
    /// The account without its large withdrawals.
    account: Account,
    /// Account, amount and day of each.
    large: Vec<(String, u64, i64)>,
}

impl State for LargeWithdrawals {
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::LargeWithdrawn { account, amount, day, .. } => {
                self.large.push((account.clone(), *amount, *day));
            }
            // The query has all other events only of the one account.
            event => self.account.evolve(event),
        }
    }
}

/// Why a large withdrawal is refused.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum LimitRefused {
    /// The account says no.
    #[error(transparent)]
    Account(Refused),
    /// The owner has reached the limit.
    #[error("{owner} has made {LARGE_PER_DAY} large withdrawals today")]
    LimitReached {
        /// Who.
        owner: String,
    },
    /// Someone else owns the account.
    #[error("the account does not belong to {owner}")]
    NotTheOwner {
        /// Who does not own it.
        owner: String,
    },
}

impl Decide<WithdrawLarge> for LargeWithdrawals {
    type Rejection = LimitRefused;
    type Reply = u64;

    fn decide(&self, command: &WithdrawLarge, cx: &Context) -> Result<Decision<AccountEvent, u64>, LimitRefused> {
        let WithdrawLarge { account, owner, amount } = command.clone();
        let day = cx.now().as_micros().div_euclid(MICROS_PER_DAY);
        ensure!(self.account.owner.as_ref().is_none_or(|of| *of == owner), LimitRefused::NotTheOwner { owner });
        let taken: u64 = self.large.iter().filter(|(of, ..)| *of == account).map(|(_, amount, _)| amount).sum();
        let left = self
            .account
            .less(taken)
            .and_then(|balance| balance.checked_sub(amount).ok_or(Refused::InsufficientFunds { balance }));
        let left = left.map_err(LimitRefused::Account)?;
        let today = self.large.iter().filter(|(.., of)| *of == day).count();
        ensure!(today < LARGE_PER_DAY, LimitRefused::LimitReached { owner });
        Ok(emit(AccountEvent::LargeWithdrawn { account, amount, owner, day }).reply(left))
    }
}

impl Scope<WithdrawLarge> for LargeWithdrawals {
    fn query(command: &WithdrawLarge) -> Result<Query, Invalid> {
        let account = QueryItem::new().stream(StreamId::of("account", &command.account)?);
        let owners =
            QueryItem::new().types(["large-withdrawal-made"]).tags([Tag::new(format!("owner:{}", command.owner))?]);
        Ok(Query::of(account).or(owners))
    }

    fn home(command: &WithdrawLarge, _: &AccountEvent) -> Result<StreamId, Invalid> {
        StreamId::of("account", &command.account)
    }
}
