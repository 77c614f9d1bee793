//! Statements of account: rows in SQLite, where a report can ask what it likes.

use annalist::Recorded;
use annalist::projection::{ApplyError, OnFailure, Projection};
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

/// The rows of `json_each`, one for each line: so many events are written with one statement.
const INSERT: &str = "
    insert into entries (position, account, at_micros, amount, transfer)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?)";

/// Position, account, time, amount and transfer; `None` for an event that is no line.
type Line<'e> = Option<(i64, String, i64, i64, Option<&'e str>)>;

fn line(event: &Recorded<AccountEvent>) -> Result<Line<'_>, ApplyError> {
    let (amount, transfer) = match &event.event {
        AccountEvent::Opened { .. } => return Ok(None),
        AccountEvent::Deposited { amount, transfer } => (i64::try_from(*amount)?, transfer.as_deref()),
        AccountEvent::Withdrawn { amount, transfer } => (-i64::try_from(*amount)?, transfer.as_deref()),
        AccountEvent::LargeWithdrawn { amount, .. } => (-i64::try_from(*amount)?, None),
    };
    let record = &event.record;
    let account = record.stream_id().identifier().to_owned();
    Ok(Some((i64::try_from(record.position.get())?, account, record.time.as_micros(), amount, transfer)))
}

impl Projection for Statement {
    const NAME: &'static str = "statement";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = Sqlite;
    const APPLIES_ALL: bool = true;

    async fn apply(&self, event: &Recorded<AccountEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
        self.apply_all(std::slice::from_ref(event), tx).await
    }

    async fn apply_all(&self, events: &[Recorded<AccountEvent>], tx: &mut SqliteTx) -> Result<(), ApplyError> {
        let lines = events.iter().filter_map(|event| line(event).transpose()).collect::<Result<Vec<_>, _>>()?;
        sqlx::query(INSERT).bind(serde_json::to_string(&lines)?).execute(tx.connection()).await?;
        Ok(())
    }

    /// An amount that SQLite has no number for is no reason to keep everybody else waiting.
    fn on_failure(&self) -> OnFailure {
        OnFailure::park()
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
