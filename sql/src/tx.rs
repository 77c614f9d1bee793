//! Transactions on the rows of one instance: to write, and to read.

use std::{fmt, sync::Arc};

use sqlx::{Database, Transaction};

use crate::fence::Fence;

/// The rows of a view as a projection changes them, by SQL on [`Tx::connection`].
///
/// Tables stand under their plain names. Dropping it rolls everything back. A statement that ends the transaction
/// (`commit`, `rollback`) breaks its promise; so does one that writes to tables of others, which a replay would do again.
pub struct Tx<DB: Database> {
    pub(crate) transaction: Transaction<'static, DB>,
    pub(crate) fence: Arc<Fence>,
    /// Which instance it is, as the model knows it.
    pub(crate) instance: i64,
}

/// A transaction of [`Sqlite`](crate::Sqlite).
pub type SqliteTx = Tx<sqlx::Sqlite>;

/// A transaction of [`Postgres`](crate::Postgres).
pub type PostgresTx = Tx<sqlx::Postgres>;

impl<DB: Database> Tx<DB> {
    /// What statements are executed on.
    pub fn connection(&mut self) -> &mut DB::Connection {
        &mut self.transaction
    }
}

impl<DB: Database> fmt::Debug for Tx<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("database", &DB::NAME).field("writer", &self.fence.writer).finish_non_exhaustive()
    }
}

/// One consistent state of a projection's live instance, to be read by SQL on [`View::connection`].
///
/// Tables stand under their plain names. It goes on seeing that state when the instance is replaced meanwhile; so drop it
/// soon. It holds one of a bounded number of connections.
pub struct View<DB: Database> {
    pub(crate) transaction: Transaction<'static, DB>,
}

impl<DB: Database> View<DB> {
    /// What queries are executed on.
    pub fn connection(&mut self) -> &mut DB::Connection {
        &mut self.transaction
    }
}

impl<DB: Database> fmt::Debug for View<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("database", &DB::NAME).finish_non_exhaustive()
    }
}
