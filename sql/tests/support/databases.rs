//! What the contract needs of each kind of database.

use std::{fmt::Debug, future::Future};

use annalist::projection::{Projection, ReadModel};
use annalist_sql::{Postgres, PostgresTx, SqlError, Sqlite, SqliteTx, View, sqlx};
use tempfile::TempDir;

use super::{Server, Totals};

/// An empty database of its own for a test.
pub(crate) trait Database: Sized + Send + Sync + 'static {
    type Model: ReadModel + Debug;
    /// One state of the live instance.
    type View: Send;

    /// How many transactions write at the same time.
    const PARTITIONS: u16 = 1;

    fn make() -> impl Future<Output = Self> + Send;

    /// Opens with the usual tables.
    fn open<P: Projection>(&self) -> impl Future<Output = Self::Model> + Send {
        async { self.open_with::<P>(TABLES).await.unwrap() }
    }

    fn open_with<P: Projection>(
        &self,
        tables: &'static str,
    ) -> impl Future<Output = Result<Self::Model, SqlError>> + Send;

    fn post(
        tx: &mut <Self::Model as ReadModel>::Tx,
        cents: i64,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    fn read(model: &Self::Model) -> impl Future<Output = Result<Self::View, SqlError>> + Send;

    /// By two statements, so that a change between the two would be seen.
    fn totals(view: &mut Self::View) -> impl Future<Output = Result<Totals, sqlx::Error>> + Send;

    /// How many instances there are, as a stranger would count them.
    fn instances(&self) -> impl Future<Output = usize> + Send;

    /// The totals of the live instance.
    fn live(model: &Self::Model) -> impl Future<Output = Totals> + Send {
        async { Self::totals(&mut Self::read(model).await.unwrap()).await.unwrap() }
    }
}

const TABLES: &str = "create table entries (cents bigint not null); create index by_cents on entries (cents)";
const COUNT: &str = "select count(*) from entries";
const SUM: &str = "select cast(coalesce(sum(cents), 0) as bigint) from entries";

pub(crate) struct InSqlite(pub(crate) TempDir);

impl Database for InSqlite {
    type Model = Sqlite;
    type View = View<sqlx::Sqlite>;

    async fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open_with<P: Projection>(&self, tables: &'static str) -> Result<Sqlite, SqlError> {
        Sqlite::open::<P>(self.0.path(), tables).await
    }

    async fn post(tx: &mut SqliteTx, cents: i64) -> Result<(), sqlx::Error> {
        sqlx::query("insert into entries values (?)").bind(cents).execute(tx.connection()).await.map(drop)
    }

    async fn read(model: &Sqlite) -> Result<Self::View, SqlError> {
        model.read().await
    }

    async fn totals(view: &mut Self::View) -> Result<Totals, sqlx::Error> {
        let count = sqlx::query_scalar(COUNT).fetch_one(view.connection()).await?;
        Ok((count, sqlx::query_scalar(SUM).fetch_one(view.connection()).await?))
    }

    async fn instances(&self) -> usize {
        let names = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "live.db" && name.to_string_lossy().ends_with(".db")).count()
    }
}

/// In PostgreSQL, written by so many transactions at the same time.
pub(crate) struct InPartitions<const PARTITIONS: u16>(pub(crate) Server);

pub(crate) type InPostgres = InPartitions<1>;

impl<const PARTITIONS: u16> Database for InPartitions<PARTITIONS> {
    type Model = Postgres;
    type View = View<sqlx::Postgres>;
    const PARTITIONS: u16 = PARTITIONS;

    async fn make() -> Self {
        Self(Server::start().await)
    }

    async fn open_with<P: Projection>(&self, tables: &'static str) -> Result<Postgres, SqlError> {
        let model = Postgres::at::<P>(&self.0.url(), tables)?;
        model.connect().await?;
        Ok(model)
    }

    async fn post(tx: &mut PostgresTx, cents: i64) -> Result<(), sqlx::Error> {
        sqlx::query("insert into entries values ($1)").bind(cents).execute(tx.connection()).await.map(drop)
    }

    async fn read(model: &Postgres) -> Result<Self::View, SqlError> {
        model.read().await
    }

    async fn totals(view: &mut Self::View) -> Result<Totals, sqlx::Error> {
        let count = sqlx::query_scalar(COUNT).fetch_one(view.connection()).await?;
        Ok((count, sqlx::query_scalar(SUM).fetch_one(view.connection()).await?))
    }

    async fn instances(&self) -> usize {
        let count = "select (select count(*) from pg_namespace where nspname like '%#%'), count(*) from annalist.views";
        let row = sqlx::query_as(count).fetch_one(&mut self.0.connection().await).await;
        let (schemas, rows): (i64, i64) = row.unwrap();
        assert_eq!(schemas, rows, "every schema has its row, and every row its schema");
        usize::try_from(rows).unwrap()
    }
}
