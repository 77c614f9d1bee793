//! Read models in PostgreSQL: a schema for each instance.

mod notes;

use std::{fmt, sync::Arc};

use annalist::projection::{ModelError, Projection, ReadModel};
use annalist_core::Cursor;
use sqlx::{
    PgConnection, PgPool,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use self::notes::Row;
use crate::{
    error::{SqlError, is_outage_of_any, model},
    fence::{Fence, gone},
    limits::{ATTEMPTS_MAX, IDLE, PATIENCE, READERS_MAX, WRITERS_MAX},
    tx::{PostgresTx, Tx, View},
};

/// The rows of a projection in a PostgreSQL database.
///
/// An instance is a schema (`statement#7`), and what happens in a transaction of this finds its tables there by their
/// plain names, through the search path; behind it stand the schemas of the connection's own search path. What is known
/// of the instances stands in the table `annalist.views`. The role needs the right to create schemas.
///
/// One service at a time fills a projection: when two do, the one that came later goes on, and the other one's projection
/// stops with [`ModelError::Fenced`]. Clones share the connections.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
    instance: i64,
    fence: Arc<Fence>,
}

/// What all instances of a projection have in common.
struct Shared {
    name: &'static str,
    version: i64,
    tables: &'static str,
    writers: PgPool,
    readers: PgPool,
}

impl Postgres {
    /// Opens the rows of projection `P` at `url` (`postgres://user:password@host/database`): the live instance, if it was
    /// filled by this version of the projection; otherwise the one that this version has begun to fill, or a new one,
    /// whose tables and indexes the statements in `tables` make. What interrupted rebuilds left is removed.
    ///
    /// # Errors
    /// [`SqlError`] when the database cannot be reached, or refuses the tables.
    pub async fn connect<P: Projection>(url: &str, tables: &'static str) -> Result<Self, SqlError> {
        Self::connect_with::<P>(url.parse()?, tables).await
    }

    /// [`Postgres::connect`] with options that do not fit in an address.
    ///
    /// # Errors
    /// As [`Postgres::connect`].
    pub async fn connect_with<P: Projection>(
        options: PgConnectOptions,
        tables: &'static str,
    ) -> Result<Self, SqlError> {
        let lock_timeout = format!("{}ms", PATIENCE.as_millis());
        let options = options.options([("lock_timeout", lock_timeout)]);
        let writers = pool(WRITERS_MAX).connect_with(options.clone()).await?;
        let readers = pool(READERS_MAX).connect_lazy_with(options);
        let shared = Arc::new(Shared { name: P::NAME, version: i64::from(P::VERSION), tables, writers, readers });
        let instance = shared.open().await?;
        Ok(Self { shared, instance, fence: Arc::new(Fence::new()) })
    }

    /// One consistent state of the live instance, to be read. Whoever wants to see what he has written waits with
    /// [`reached`](annalist::projection::Projections::reached) first.
    ///
    /// # Errors
    /// [`SqlError::Building`] when the view was never complete; [`SqlError`] when the database fails.
    pub async fn read(&self) -> Result<View<sqlx::Postgres>, SqlError> {
        let Shared { name, version, readers, .. } = &*self.shared;
        for _ in 0..ATTEMPTS_MAX {
            let mut transaction =
                readers.begin_with("begin transaction isolation level repeatable read, read only").await?;
            let live = notes::live_for_reading(&mut transaction, name, *version).await?;
            let Some(instance) = live else { return Err(SqlError::Building { projection: name }) };
            // It may have been removed between the two: then there is another one by now.
            if notes::is_there(&mut transaction, name, instance).await? {
                notes::enter(&mut transaction, name, instance).await?;
                return Ok(View { transaction });
            }
        }
        Err(SqlError::Unavailable(sqlx::Error::PoolTimedOut))
    }
}

fn pool(connections: u32) -> PgPoolOptions {
    PoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).idle_timeout(IDLE)
}

impl Shared {
    /// Finds or makes the instance that this version of the projection is to fill.
    async fn open(&self) -> Result<i64, SqlError> {
        let mut transaction = self.writers.begin().await?;
        notes::make_table(&mut transaction).await?;
        notes::alone(&mut transaction, self.name).await?;
        let rows = notes::all(&mut transaction, self.name).await?;
        let ours = rows.iter().filter(|row| row.version == self.version);
        let number = match ours.max_by_key(|row| (row.live, row.instance)) {
            Some(row) => {
                notes::revive(&mut transaction, row.instance).await?;
                row.instance
            }
            None => self.create(&mut transaction).await?,
        };
        transaction.commit().await?;
        self.remove(rows.iter().filter(|row| !row.live && row.instance != number)).await;
        Ok(number)
    }

    /// Makes an empty instance.
    async fn create(&self, connection: &mut PgConnection) -> Result<i64, SqlError> {
        let instance = notes::add(connection, self.name, self.version).await?;
        notes::enter(connection, self.name, instance).await?;
        sqlx::raw_sql(self.tables)
            .execute(connection)
            .await
            .map_err(|source| SqlError::Tables { projection: self.name, source })?;
        Ok(instance)
    }

    /// Removes instances that nobody needs any more. One that cannot be removed now is removed later.
    async fn remove(&self, rows: impl Iterator<Item = &Row>) {
        for Row { instance, .. } in rows {
            if let Err(error) = self.remove_one(*instance).await {
                let (projection, error) = (self.name, &error as &dyn std::error::Error);
                tracing::warn!(projection, instance, error, "an old instance is removed when the view is next opened");
            }
        }
    }

    async fn remove_one(&self, instance: i64) -> Result<(), SqlError> {
        let mut transaction = self.writers.begin().await?;
        if notes::remove(&mut transaction, self.name, instance).await? {
            transaction.commit().await?;
        } else {
            tracing::info!(
                projection = self.name,
                instance,
                "an old instance is still being read; it is removed later"
            );
        }
        Ok(())
    }

    /// Makes an instance live and tells which others there are.
    async fn promote(&self, instance: i64) -> Result<Vec<Row>, SqlError> {
        let mut transaction = self.writers.begin().await?;
        notes::alone(&mut transaction, self.name).await?;
        let rows = notes::all(&mut transaction, self.name).await?;
        if rows.iter().any(|row| row.instance == instance) {
            notes::make_live(&mut transaction, self.name, instance).await?;
            transaction.commit().await?;
        }
        Ok(rows)
    }
}

impl ReadModel for Postgres {
    type Tx = PostgresTx;

    fn is_outage(error: &(dyn std::error::Error + 'static)) -> bool {
        is_outage_of_any(error)
    }

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        let note = notes::note(&mut connection, self.instance).await?.ok_or_else(gone)?;
        self.fence.seen(note.cursor);
        Ok(note.cursor)
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        Ok(notes::is_live(&mut connection, self.instance).await?)
    }

    async fn begin(&self) -> Result<PostgresTx, ModelError> {
        let mut transaction = self.shared.writers.begin().await.map_err(model)?;
        let note = notes::lock(&mut transaction, self.instance).await?.ok_or_else(gone)?;
        self.fence.admit(&note)?;
        notes::enter(&mut transaction, self.shared.name, self.instance).await?;
        Ok(Tx { transaction, fence: Arc::clone(&self.fence), instance: self.instance })
    }

    async fn commit(tx: PostgresTx, cursor: Cursor) -> Result<(), ModelError> {
        let Tx { mut transaction, fence, instance } = tx;
        notes::write(&mut transaction, instance, &fence.writer, cursor).await?;
        transaction.commit().await.map_err(model)?;
        fence.committed(cursor);
        Ok(())
    }

    async fn shadow(&self) -> Result<Self, ModelError> {
        let mut transaction = self.shared.writers.begin().await.map_err(model)?;
        let instance = self.shared.create(&mut transaction).await?;
        transaction.commit().await.map_err(model)?;
        Ok(Self { shared: Arc::clone(&self.shared), instance, fence: Arc::new(Fence::new()) })
    }

    async fn promote(&self) -> Result<(), ModelError> {
        let mut attempts = 0;
        let rows = loop {
            attempts += 1;
            match self.shared.promote(self.instance).await {
                // The answer to a commit may be lost; doing it again does no harm.
                Err(SqlError::Unavailable(_)) if attempts < ATTEMPTS_MAX => {}
                result => break result?,
            }
        };
        if rows.iter().all(|row| row.instance != self.instance) {
            return Err(gone());
        }
        self.shared.remove(rows.iter().filter(|row| row.live && row.instance != self.instance)).await;
        Ok(())
    }

    async fn discard(&self) -> Result<(), ModelError> {
        if self.is_live().await? {
            let why = format!("the live instance of the view `{}` cannot be discarded", self.shared.name);
            return Err(ModelError::Other(why.into()));
        }
        Ok(self.shared.remove_one(self.instance).await?)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({} version {}, instance {})", self.shared.name, self.shared.version, self.instance)
    }
}
