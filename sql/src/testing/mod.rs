//! Given events, then rows: tests of projections without a store, a service or a file.

mod sealed;

use std::{fmt, path::Path};

use annalist::{
    Recorded,
    projection::{Projection, ReadModel},
    testing::{GivenEvent, given_log},
};
use sqlx::{Connection, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use self::sealed::{Kit, Rows};
use crate::{fence::Fence, tx::Tx};

/// Applies events to empty tables of an SQLite database in memory, which the statements in `tables` make, after a round
/// trip through their bytes.
///
/// ```
/// # use annalist::{Event, Recorded, projection::{ApplyError, Projection}};
/// # use annalist_sql::{Sqlite, SqliteTx, sqlx, testing::given_view};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "money-posted")] Posted { cents: i64 } }
/// # struct Statement;
/// # impl Statement { const TABLES: &'static str = "create table entries (account text not null, cents integer not null)"; }
/// # impl Projection for Statement {
/// #     const NAME: &'static str = "statement";
/// #     const VERSION: u32 = 1;
/// #     type Event = AccountEvent;
/// #     type Model = Sqlite;
/// #     async fn apply(&self, recorded: &Recorded<AccountEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
/// #         let AccountEvent::Posted { cents } = recorded.event;
/// #         let insert = sqlx::query("insert into entries values (?, ?)").bind(recorded.record.stream());
/// #         insert.bind(cents).execute(tx.connection()).await?;
/// #         Ok(())
/// #     }
/// # }
/// # fn posted(cents: i64) -> AccountEvent { AccountEvent::Posted { cents } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// given_view(Statement, Statement::TABLES, [("account-alice", posted(50)), ("account-bob", posted(7))])
///     .replayed_twice()
///     .then(async |rows| {
///         let sum: i64 = sqlx::query_scalar("select sum(cents) from entries").fetch_one(rows).await.unwrap();
///         assert_eq!(sum, 57);
///     })
///     .await;
/// # }
/// ```
///
/// # Panics
/// When an event cannot be encoded or decoded, or a stream's name is not valid: the test fails.
#[track_caller]
pub fn given_view<P, E>(
    projection: P,
    tables: &'static str,
    events: impl IntoIterator<Item = E>,
) -> GivenView<P, sqlx::Sqlite>
where
    P: Projection,
    P::Model: ReadModel<Tx = Tx<sqlx::Sqlite>>,
    E: Into<GivenEvent<P::Event>>,
{
    let options = SqliteConnectOptions::new().filename(Path::new(":memory:"));
    GivenView { projection, tables, options, log: given_log(events), twice: false }
}

/// [`given_view`] in the PostgreSQL database at `url`, where nothing is left behind: all of it is one transaction, which is
/// rolled back. The role needs the right to create a schema.
///
/// # Panics
/// As [`given_view`], and when `url` is no address.
#[track_caller]
pub fn given_view_at<P, E>(
    url: &str,
    projection: P,
    tables: &'static str,
    events: impl IntoIterator<Item = E>,
) -> GivenView<P, sqlx::Postgres>
where
    P: Projection,
    P::Model: ReadModel<Tx = Tx<sqlx::Postgres>>,
    E: Into<GivenEvent<P::Event>>,
{
    let options: PgConnectOptions = succeed("read the address", url.parse());
    GivenView { projection, tables, options, log: given_log(events), twice: false }
}

/// A view to which the given events are to be applied, when it is looked at.
#[must_use = "nothing is applied until it is looked at, by `then`"]
pub struct GivenView<P: Projection, DB: Kit> {
    projection: P,
    tables: &'static str,
    options: <DB::Connection as Connection>::Options,
    log: Vec<Recorded<P::Event>>,
    twice: bool,
}

impl<P, DB: Kit> GivenView<P, DB>
where
    P: Projection,
    P::Model: ReadModel<Tx = Tx<DB>>,
{
    /// The events are to be replayed into a second view, and that must have the same rows: a projection may depend on
    /// nothing but the events, so neither on a clock nor on chance nor on what it remembers.
    pub fn replayed_twice(self) -> Self {
        Self { twice: true, ..self }
    }

    /// Applies the events and looks at the view; returns what `look` returns.
    ///
    /// # Panics
    /// When the tables cannot be made, an event cannot be applied, the rows of two replays differ, or `look` panics.
    pub async fn then<T>(self, look: impl AsyncFnOnce(&mut DB::Connection) -> T) -> T {
        let mut view = self.replay(false).await;
        if self.twice {
            let mut again = self.replay(true).await;
            let first = succeed("read the rows", DB::rows(view.connection()).await);
            let second = succeed("read the rows", DB::rows(again.connection()).await);
            assert!(
                first == second,
                "`{}` gives other rows when it is replayed; it depends on something besides the events\n{}",
                P::NAME,
                difference(&first, &second)
            );
        }
        look(view.connection()).await
    }

    async fn replay(&self, together: bool) -> Tx<DB> {
        let transaction = succeed("make the tables", DB::begin(&self.options, self.tables).await);
        let mut tx = Tx { transaction, fence: Fence::new().into(), instance: 0 };
        if together && !self.log.is_empty() {
            succeed("apply all events together", self.projection.apply_all(&self.log, &mut tx).await);
            return tx;
        }
        for recorded in &self.log {
            let record = &recorded.record;
            let applied = self.projection.apply(recorded, &mut tx).await;
            let (name, position, stream) = (record.type_name(), record.position, record.stream());
            succeed(&format!("apply {name} at position {position} of {stream}"), applied);
        }
        tx
    }
}

fn difference(first: &Rows, second: &Rows) -> String {
    let only = |a: &Rows, b: &Rows, mark| {
        let rows = a.iter().filter(|row| !b.contains(row));
        rows.map(|(table, row)| format!("  {mark} {table} {row}")).collect::<Vec<_>>()
    };
    [only(first, second, "first: "), only(second, first, "second:")].concat().join("\n")
}

fn succeed<T, E: fmt::Display>(doing: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("cannot {doing}: {error}"),
    }
}

impl<P: Projection, DB: Kit> fmt::Debug for GivenView<P, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, twice, .. } = self;
        let mut debug = f.debug_struct("GivenView");
        debug.field("projection", &P::NAME).field("database", &DB::NAME);
        debug.field("events", &log.len()).field("twice", twice).finish_non_exhaustive()
    }
}
