//! Read models in SQLite and PostgreSQL, through [`sqlx`].
//!
//! A [`Projection`](annalist::projection::Projection) whose model is [`Sqlite`] or [`Postgres`] writes its rows with plain
//! SQL. It declares its tables once, by their plain names; rows and cursor commit in one transaction, so each event is
//! applied exactly once, and a rebuild fills tables of the same names beside the live ones.
//!
//! ```
//! use annalist::projection::{ApplyError, Projection};
//! use annalist::{App, Event, Recorded, Store};
//! use annalist_sql::{Sqlite, SqliteTx, sqlx};
//! # use serde::{Deserialize, Serialize};
//!
//! #[derive(Event, Clone, Debug)]
//! #[event(category = "account")]
//! enum AccountEvent {
//!     #[event(name = "money-posted")]
//!     Posted { cents: i64 },
//! }
//!
//! struct Statement;
//! const TABLES: &str = "create table entries (position integer primary key, account text not null, cents integer not null)";
//!
//! impl Projection for Statement {
//!     const NAME: &'static str = "statement";
//!     const VERSION: u32 = 1;
//!     type Event = AccountEvent;
//!     type Model = Sqlite;
//!     async fn apply(&self, recorded: &Recorded<AccountEvent>, tx: &mut SqliteTx) -> Result<(), ApplyError> {
//!         let AccountEvent::Posted { cents } = recorded.event;
//!         let insert = sqlx::query("insert into entries values (?, ?, ?)").bind(recorded.record.position.get() as i64);
//!         insert.bind(recorded.record.stream()).bind(cents).execute(tx.connection()).await?;
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (folder, patience) = (tempfile::tempdir()?, std::time::Duration::from_secs(60));
//! # let views = std::sync::Arc::new(annalist::projection::MemoryKeyValue::new());
//! # let store = Store::new(annalist_memory::MemoryStore::new(), views);
//! # let append = annalist::Append::new().events(
//! #     annalist::StreamId::of("account", "alice")?,
//! #     annalist::Expected::Any,
//! #     [annalist::NewEvent::new(annalist::EventId::generate(), annalist_core::EventType::new("money-posted")?, r#"{"cents":50}"#)],
//! # );
//! # let receipt = store.events().append(append).await?;
//! let statement = Sqlite::open::<Statement>(&folder, TABLES).await?;               // or Postgres::at(url, TABLES)?
//! let app = App::open(store).projection_with(Statement, statement.clone()).start().await?;
//!
//! app.projections().reached::<Statement>(receipt.cursor, patience).await?;         // read your own write
//! let mut view = statement.read().await?;                                          // one state of the live instance
//! let total: i64 = sqlx::query_scalar("select sum(cents) from entries").fetch_one(view.connection()).await?;
//! assert_eq!(total, 50);
//! # Ok(()) }
//! ```
//!
//! Whoever changes the tables increments the projection's `VERSION`: the next start replays into new ones. Parked events, an
//! unfinished rebuild and the view to roll back to are kept in the same database. [`testing`] tests a projection by itself.

mod limits;

mod error;
mod fence;
mod kept;
mod tx;

mod postgres;
mod sqlite;

pub mod testing;

pub use error::SqlError;
pub use postgres::Postgres;
pub use sqlite::Sqlite;
/// The library that speaks SQL, in the version that the transactions here are of.
pub use sqlx;
pub use tx::{PostgresTx, SqliteTx, Tx, View};
