//! Read models in PostgreSQL: a schema for each instance.

mod instances;
mod notes;
mod parked;
mod partitions;

use std::{fmt, sync::Arc};

use annalist::projection::{Kept, ModelError, Parked, Partition, Projection, Reached, ReadModel, Unfinished};
use annalist_core::{Cursor, Position};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::OnceCell;

use self::instances::Shared;
use crate::{
    error::{SqlError, is_outage_of_any, model},
    fence::{Fence, gone},
    limits::ATTEMPTS_MAX,
    tx::{PostgresTx, Tx, View},
};

/// The rows of a projection in a PostgreSQL database.
///
/// An instance is a schema (`statement#7`), and what happens in a transaction of this finds its tables there by their
/// plain names, through the search path; behind it stand the schemas of the connection's own search path. What is known
/// of the instances stands in the table `annalist.views`, what they have parked in `annalist.parked`. The role needs the
/// right to create schemas.
///
/// Nothing is asked of the database before its first use, so a service starts without it: its projection waits for the
/// database, and says so in its [state](annalist::projection::ProjectionState::Waiting).
///
/// One service at a time fills a projection: when two do, the one that came later goes on, and the other one's projection
/// stops with [`ModelError::Fenced`]. Clones share the connections.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
    /// Which one, once that is known.
    instance: Arc<OnceCell<i64>>,
    fence: Arc<Fence>,
}

impl Postgres {
    /// The rows of projection `P` at `url` (`postgres://user:password@host/database`). Must be called within a Tokio runtime.
    ///
    /// They are opened when they are first used, or by [`Postgres::connect`]: the live instance, if it was filled by this
    /// version of the projection; otherwise the one that this version has begun to fill, or a new one, whose tables and
    /// indexes the statements in `tables` make. What nobody needs is removed.
    ///
    /// # Errors
    /// [`SqlError`] when that is no address.
    pub fn at<P: Projection>(url: &str, tables: &'static str) -> Result<Self, SqlError> {
        Ok(Self::with::<P>(url.parse()?, tables))
    }

    /// [`Postgres::at`] with options that do not fit in an address.
    #[must_use]
    pub fn with<P: Projection>(options: PgConnectOptions, tables: &'static str) -> Self {
        let shared = Arc::new(Shared::new::<P>(tables, options));
        Self { shared, instance: Arc::default(), fence: Arc::new(Fence::new()) }
    }

    /// Opens the rows now, to be told at once what is wrong.
    ///
    /// # Errors
    /// [`SqlError`] when the database cannot be reached, or refuses the tables.
    pub async fn connect(&self) -> Result<(), SqlError> {
        self.number().await.map(drop)
    }

    /// Which instance it is. It is looked for again as long as the database does not tell.
    async fn number(&self) -> Result<i64, SqlError> {
        self.instance.get_or_try_init(|| self.shared.open()).await.copied()
    }

    fn instance(shared: &Arc<Shared>, number: i64, fence: Fence) -> Self {
        let instance = Arc::new(OnceCell::new_with(Some(number)));
        Self { shared: Arc::clone(shared), instance, fence: Arc::new(fence) }
    }

    /// One consistent state of the live instance, to be read. Whoever wants to see what he has written waits with
    /// [`reached`](annalist::projection::Projections::reached) first.
    ///
    /// # Errors
    /// [`SqlError::Building`] when the view was never complete; [`SqlError`] when the database fails.
    pub async fn read(&self) -> Result<View<sqlx::Postgres>, SqlError> {
        self.number().await?;
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

    /// Puts the writer's name into the note of the instance: partitions are written without touching it.
    async fn sign(&self) -> Result<(), ModelError> {
        if self.fence.has_signed() {
            return Ok(());
        }
        // One partition signs for all: a second one would wait for the transaction of the first, which may take as long as
        // it likes.
        let _alone = self.fence.signing.lock().await;
        if self.fence.has_signed() {
            return Ok(());
        }
        let (tx, cursor) = self.begin().await?;
        Self::commit(tx, cursor).await
    }

    /// Makes this the live instance, and keeps or removes the one that was.
    async fn put_into_place(&self, keep: bool) -> Result<(), ModelError> {
        let number = self.number().await?;
        let mut attempts = 0;
        let unwanted = loop {
            attempts += 1;
            match self.shared.promote(number, &self.fence.writer, keep).await {
                // The answer to a commit may be lost; doing it again does no harm.
                Err(SqlError::Unavailable(_)) if attempts < ATTEMPTS_MAX => {}
                result => break result?,
            }
        };
        let unwanted = unwanted.ok_or_else(gone)?;
        self.fence.signed();
        self.shared.remove(unwanted).await;
        Ok(())
    }
}

impl ReadModel for Postgres {
    type Tx = PostgresTx;

    fn is_outage(error: &(dyn std::error::Error + 'static)) -> bool {
        is_outage_of_any(error)
    }

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        let number = self.number().await?;
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        let note = notes::note(&mut connection, number).await?.ok_or_else(gone)?;
        self.fence.seen(note.cursor);
        Ok(note.cursor)
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        let number = self.number().await?;
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        Ok(notes::is_live(&mut connection, number).await?)
    }

    async fn begin(&self) -> Result<(PostgresTx, Cursor), ModelError> {
        let number = self.number().await?;
        let mut transaction = self.shared.writers.begin().await.map_err(model)?;
        let note = notes::lock(&mut transaction, number).await?.ok_or_else(gone)?;
        let cursor = self.fence.admit(&note)?;
        notes::enter(&mut transaction, self.shared.name, number).await?;
        Ok((Tx { transaction, fence: Arc::clone(&self.fence), instance: number }, cursor))
    }

    async fn commit(tx: PostgresTx, cursor: Cursor) -> Result<(), ModelError> {
        let Tx { mut transaction, fence, instance } = tx;
        notes::write(&mut transaction, instance, &fence.writer, cursor).await?;
        transaction.commit().await.map_err(model)?;
        fence.committed(cursor);
        Ok(())
    }

    const PARTITIONS: bool = true;

    async fn begin_partition(&self, partition: Partition) -> Result<(PostgresTx, Vec<Reached>), ModelError> {
        self.sign().await?;
        let number = self.number().await?;
        let mut transaction = self.shared.writers.begin().await.map_err(model)?;
        let note = notes::share(&mut transaction, number).await?.ok_or_else(gone)?;
        let behind = self.fence.admit(&note)?.position;
        let reached = partitions::enter(&mut transaction, number, partition, behind).await.map_err(model)?;
        notes::enter(&mut transaction, self.shared.name, number).await?;
        Ok((Tx { transaction, fence: Arc::clone(&self.fence), instance: number }, reached))
    }

    async fn reached(&self) -> Result<Vec<Reached>, ModelError> {
        let number = self.number().await?;
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        partitions::ahead(&mut connection, number).await.map_err(model)
    }

    async fn commit_partition(tx: PostgresTx, partition: Partition, position: Position) -> Result<(), ModelError> {
        let Tx { mut transaction, instance, .. } = tx;
        partitions::write(&mut transaction, instance, partition, position).await.map_err(model)?;
        transaction.commit().await.map_err(model)
    }

    async fn shadow(&self) -> Result<Self, ModelError> {
        // What is opened later would remove it.
        self.number().await?;
        let mut transaction = self.shared.writers.begin().await.map_err(model)?;
        let number = self.shared.create(&mut transaction).await?;
        transaction.commit().await.map_err(model)?;
        Ok(Self::instance(&self.shared, number, Fence::new()))
    }

    async fn promote(&self) -> Result<(), ModelError> {
        self.put_into_place(false).await
    }

    async fn discard(&self) -> Result<(), ModelError> {
        if self.is_live().await? {
            let why = format!("the live instance of the view `{}` cannot be discarded", self.shared.name);
            return Err(ModelError::Other(why.into()));
        }
        Ok(self.shared.remove_one(self.number().await?).await?)
    }

    const KEEPS: bool = true;

    async fn keep(&self, unfinished: Unfinished) -> Result<(), ModelError> {
        let number = self.number().await?;
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        Ok(notes::keep(&mut connection, number, unfinished).await?)
    }

    async fn kept(&self) -> Result<Vec<(Self, Kept)>, ModelError> {
        self.number().await?;
        let kept = self.shared.kept().await?.into_iter().map(|(number, why)| {
            let fence = if why == Kept::Previous { Fence::putting_back() } else { Fence::new() };
            (Self::instance(&self.shared, number, fence), why)
        });
        Ok(kept.collect())
    }

    async fn promote_keeping(&self) -> Result<(), ModelError> {
        self.put_into_place(true).await
    }

    const PARKS: bool = true;

    async fn park(tx: &mut PostgresTx, parked: &Parked) -> Result<(), ModelError> {
        parked::park(&mut tx.transaction, tx.instance, parked).await.map_err(model)
    }

    async fn unpark(tx: &mut PostgresTx, key: &str, position: Position) -> Result<(), ModelError> {
        parked::unpark(&mut tx.transaction, tx.instance, key, position).await.map_err(model)
    }

    async fn parked(&self, after: Option<(&str, Position)>, limit: usize) -> Result<Vec<Parked>, ModelError> {
        let number = self.number().await?;
        let mut connection = self.shared.writers.acquire().await.map_err(model)?;
        parked::list(&mut connection, number, after, limit).await.map_err(model)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({} version {}, ", self.shared.name, self.shared.version)?;
        match self.instance.get() {
            Some(instance) => write!(f, "instance {instance})"),
            None => f.write_str("not opened)"),
        }
    }
}
