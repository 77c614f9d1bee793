//! The read model: what every account holds. It can be rebuilt from the log at any time.

use annalist::Recorded;
use annalist::projection::{ApplyError, Embedded, Projection, Table, Tx};

use crate::account::AccountEvent;

pub(crate) struct Balances;

/// What each account holds, by its id.
pub(crate) const BALANCES: Table<String, u64> = Table::new("balances");

impl Projection for Balances {
    const NAME: &'static str = "balances";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Embedded;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut Tx) -> Result<(), ApplyError> {
        let account = event.record.stream_id().identifier().to_owned();
        tx.update(&BALANCES, &account, |balance| match event.event {
            AccountEvent::Opened => {}
            AccountEvent::Deposited { amount } => *balance += u64::from(amount),
            AccountEvent::Withdrawn { amount } => *balance -= u64::from(amount),
        })?;
        Ok(())
    }
}
