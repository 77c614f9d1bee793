//! The domain: what can happen, and who decides about it. Pure functions: no store, no clock, no `await`.

mod account;
mod limit;
mod transfer;

#[cfg(test)]
mod tests;

pub use account::{Account, AccountEvent, Deposit, Open, Refused, Withdraw};
pub use limit::{LARGE, LARGE_PER_DAY, LargeWithdrawals, LimitRefused, WithdrawLarge};
pub use transfer::{Patience, RequestTransfer, SettleTransfer, Transfer, TransferEvent, TransferRefused, Transfers};
