//! What every account holds: rows in the embedded view.

use annalist::Recorded;
use annalist::projection::{ApplyError, Embedded, Projection, Table, Tx};
use serde::{Deserialize, Serialize};

use crate::domain::AccountEvent;

/// The projection.
#[derive(Debug)]
pub struct Balances;

/// What an account holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Whose it is.
    pub owner: String,
    /// In cents.
    pub balance: u64,
}

/// What each account holds, by its id.
pub const BALANCES: Table<String, Holding> = Table::new("balances");

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let account = event.record.stream_id().identifier().to_owned();
        tx.update(&BALANCES, &account, |holding| match &event.event {
            AccountEvent::Opened { owner } => holding.owner.clone_from(owner),
            AccountEvent::Deposited { amount, .. } => holding.balance += amount,
            AccountEvent::Withdrawn { amount, .. } | AccountEvent::LargeWithdrawn { amount, .. } => {
                holding.balance -= amount;
            }
        })?;
        Ok(())
    }
}
