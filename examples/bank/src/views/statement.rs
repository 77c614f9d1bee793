//! Statements of account: rows in SQLite, where a report can ask what it likes.

use annalist::Recorded;
use annalist::projection::{ApplyError, Projection};
use annalist_sql::{SqlError, Sqlite, SqliteTx, sqlx};

use crate::domain::AccountEvent;

/// The projection.
#[derive(Debug)]
pub struct Statement;

impl Statement {
    /// Its tables. Whoever changes them increments [`Projection::VERSION`].
    pub const TABLES: &str = "
        create table entries (
            position integer primary key,
            account text not null,
            at_micros integer not null,
            amount integer not null,
            transfer text
        );
        create index entries_of_account on entries (account, position);
    ";
}

/// A line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, in microseconds since 1970.
    pub at_micros: i64,
    /// In cents; less than zero when money went out.
    pub amount: i64,
    /// The transfer that it was part of.
    pub transfer: Option<String>,
    /// What the account held then.
    pub balance: i64,
}

impl Projection for Statement {
    const NAME: &'static str = "statement";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Sqlite;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let (amount, transfer) = match &event.event {
            AccountEvent::Opened { .. } => return Ok(()),
            AccountEvent::Deposited { amount, transfer } => (i64::try_from(*amount)?, transfer.as_deref()),
            AccountEvent::Withdrawn { amount, transfer } => (-i64::try_from(*amount)?, transfer.as_deref()),
            AccountEvent::LargeWithdrawn { amount, .. } => (-i64::try_from(*amount)?, None),
        };
        let record = &event.record;
        sqlx::query("insert into entries (position, account, at_micros, amount, transfer) values (?, ?, ?, ?, ?)")
            .bind(i64::try_from(record.position.get())?)
            .bind(record.stream_id().identifier())
            .bind(record.time.as_micros())
            .bind(amount)
            .bind(transfer)
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

/// The statement of an account, oldest first.
///
/// # Errors
/// [`SqlError`] when the database cannot be read.
pub async fn statement_of(view: &Sqlite, account: &str) -> Result<Vec<Entry>, SqlError> {
    let sum = "select at_micros, amount, transfer, sum(amount) over (order by position) as balance
               from entries where account = ? order by position";
    let rows: Vec<(i64, i64, Option<String>, i64)> =
        sqlx::query_as(sum).bind(account).fetch_all(view.read().await?.connection()).await?;
    let entry = |(at_micros, amount, transfer, balance)| Entry { at_micros, amount, transfer, balance };
    Ok(rows.into_iter().map(entry).collect())
}
