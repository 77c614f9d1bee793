//! Read models in SQLite: a file for each instance.

mod folder;
mod instances;
mod notes;

use std::{fmt, path::Path, sync::Arc};

use annalist::projection::{Kept, ModelError, Parked, Projection, ReadModel, Unfinished};
use annalist_core::{Cursor, Position};
use sqlx::SqlitePool;

use self::{
    folder::Folder,
    instances::{Shared, options, pool},
    notes::Tidying,
};
use crate::{
    error::{SqlError, is_outage_of_any, model},
    fence::{Fence, gone},
    limits::ATTEMPTS_MAX,
    tx::{SqliteTx, Tx, View},
};

/// The rows of a projection in SQLite files in a folder of their own.
///
/// An instance is a file, and `live.db` is a link to the live one: other programs may read that. The files are in WAL
/// mode, so that readers and the writer do not wait for each other, and are not synced with every commit
/// (`synchronous = NORMAL`): a power failure may take the last batches, rows and cursor together, and they are replayed.
/// What is parked, and why an instance is kept, stands in tables of ours in the same files: `annalist_parked`,
/// `annalist_note`.
///
/// One service at a time fills a projection: when two do, the one that came later goes on, and the other one's projection
/// stops with [`ModelError::Fenced`]. Clones share the connections.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
    /// Which instance.
    id: String,
    /// Two connections: one that writes, for there is one writer, and one that asks meanwhile.
    writer: SqlitePool,
    fence: Arc<Fence>,
}

impl Sqlite {
    /// Opens the rows of projection `P` in a folder, made there if need be: the live instance, if it was filled by this
    /// version of the projection; otherwise the one that this version has begun to fill, or a new one, whose tables and
    /// indexes the statements in `tables` make. What nobody needs is removed.
    ///
    /// # Errors
    /// [`SqlError`] when files cannot be made or read, or SQLite refuses the tables.
    pub async fn open<P: Projection>(folder: impl AsRef<Path>, tables: &'static str) -> Result<Self, SqlError> {
        let folder = Folder::make(folder.as_ref()).await?;
        let shared = Arc::new(Shared::new(P::NAME, P::VERSION, tables, folder));
        let id = shared.open().await?;
        Ok(Self::instance(shared, id, Fence::new()))
    }

    fn instance(shared: Arc<Shared>, id: String, fence: Fence) -> Self {
        let writer = pool(2).connect_lazy_with(options(&shared.folder.file(&id)));
        Self { shared, id, writer, fence: Arc::new(fence) }
    }

    /// One consistent state of the live instance, to be read. Whoever wants to see what he has written waits with
    /// [`reached`](annalist::projection::Projections::reached) first.
    ///
    /// # Errors
    /// [`SqlError::Building`] when the view was never complete; [`SqlError`] when SQLite fails.
    pub async fn read(&self) -> Result<View<sqlx::Sqlite>, SqlError> {
        let Shared { name, version, folder, .. } = &*self.shared;
        let building = || SqlError::Building { projection: name };
        let mut last = sqlx::Error::PoolTimedOut;
        for _ in 0..ATTEMPTS_MAX {
            let live = folder.live().await?.ok_or_else(building)?;
            match self.shared.begin_reading(&live).await {
                // The file may be removed while it is being opened, and the rest of it be missing then.
                result if !folder.has(&live).await? => last = result.err().unwrap_or(last),
                Ok((_, found)) if found != *version => return Err(building()),
                Ok((view, _)) => return Ok(view),
                Err(error) => return Err(error.into()),
            }
        }
        Err(SqlError::Unavailable(last))
    }

    /// The instance is there, and not only its open file.
    async fn check(&self) -> Result<(), ModelError> {
        if self.shared.folder.has(&self.id).await? { Ok(()) } else { Err(gone()) }
    }

    /// Makes this the live instance, and keeps or removes the one that was.
    async fn put_into_place(&self, keep: bool) -> Result<(), ModelError> {
        self.check().await?;
        let live = self.shared.folder.live().await?;
        if live.as_ref() == Some(&self.id) {
            return Ok(());
        }
        let kept = self.shared.previous_of(live.as_deref()).await?;
        let (previous, unwanted) = if keep { (live, None) } else { (None, live) };

        // Which one is kept stands in the one that comes into place, so that the link says both in one step.
        let mut transaction = self.writer.begin_with("begin immediate").await.map_err(model)?;
        notes::set_previous(&mut transaction, previous.as_deref()).await?;
        notes::sign(&mut transaction, &self.fence.writer).await.map_err(model)?;
        transaction.commit().await.map_err(model)?;
        self.fence.signed();
        // The link is durable: so must be what it leads to, or a power failure would leave readers a part of it.
        let mut connection = self.writer.acquire().await.map_err(model)?;
        notes::sync(&mut connection).await.map_err(model)?;
        self.shared.folder.point(&self.id).await?;

        self.shared.tidy(&self.id, Tidying::Filled).await;
        if let Some(previous) = &previous {
            self.shared.tidy(previous, Tidying::ShutOut).await;
        }
        let unwanted = [kept, unwanted].into_iter().flatten().filter(|id| *id != self.id);
        self.shared.remove(unwanted.collect()).await;
        Ok(())
    }
}

impl ReadModel for Sqlite {
    type Tx = SqliteTx;

    fn is_outage(error: &(dyn std::error::Error + 'static)) -> bool {
        is_outage_of_any(error)
    }

    async fn cursor(&self) -> Result<Cursor, ModelError> {
        self.check().await?;
        let mut connection = self.writer.acquire().await.map_err(model)?;
        let cursor = notes::note(&mut connection).await?.cursor;
        self.fence.seen(cursor);
        Ok(cursor)
    }

    async fn is_live(&self) -> Result<bool, ModelError> {
        Ok(self.shared.folder.live().await?.as_ref() == Some(&self.id))
    }

    async fn begin(&self) -> Result<(SqliteTx, Cursor), ModelError> {
        self.check().await?;
        let mut transaction = self.writer.begin_with("begin immediate").await.map_err(model)?;
        let cursor = self.fence.admit(&notes::note(&mut transaction).await?)?;
        Ok((Tx { transaction, fence: Arc::clone(&self.fence), instance: 0 }, cursor))
    }

    async fn commit(tx: SqliteTx, cursor: Cursor) -> Result<(), ModelError> {
        let Tx { mut transaction, fence, .. } = tx;
        notes::write(&mut transaction, &fence.writer, cursor).await.map_err(model)?;
        transaction.commit().await.map_err(model)?;
        fence.committed(cursor);
        Ok(())
    }

    async fn shadow(&self) -> Result<Self, ModelError> {
        let id = self.shared.create().await?;
        Ok(Self::instance(Arc::clone(&self.shared), id, Fence::new()))
    }

    async fn promote(&self) -> Result<(), ModelError> {
        self.put_into_place(false).await
    }

    async fn discard(&self) -> Result<(), ModelError> {
        if self.is_live().await? {
            let why = format!("the live instance of the view `{}` cannot be discarded", self.shared.name);
            return Err(ModelError::Other(why.into()));
        }
        self.writer.close().await;
        Ok(self.shared.folder.remove(&self.id).await?)
    }

    const KEEPS: bool = true;

    async fn keep(&self, unfinished: Unfinished) -> Result<(), ModelError> {
        self.check().await?;
        let mut connection = self.writer.acquire().await.map_err(model)?;
        notes::set_rebuild(&mut connection, unfinished).await?;
        notes::sync(&mut connection).await.map_err(model)
    }

    async fn kept(&self) -> Result<Vec<(Self, Kept)>, ModelError> {
        let kept = self.shared.kept().await?.into_iter().map(|(id, why)| {
            let fence = if why == Kept::Previous { Fence::putting_back() } else { Fence::new() };
            (Self::instance(Arc::clone(&self.shared), id, fence), why)
        });
        Ok(kept.collect())
    }

    async fn promote_keeping(&self) -> Result<(), ModelError> {
        self.put_into_place(true).await
    }

    const PARKS: bool = true;

    async fn park(tx: &mut SqliteTx, parked: &Parked) -> Result<(), ModelError> {
        notes::park(&mut tx.transaction, parked).await.map_err(model)
    }

    async fn unpark(tx: &mut SqliteTx, key: &str, position: Position) -> Result<(), ModelError> {
        notes::unpark(&mut tx.transaction, key, position).await.map_err(model)
    }

    async fn parked(&self, after: Option<(&str, Position)>, limit: usize) -> Result<Vec<Parked>, ModelError> {
        self.check().await?;
        let mut connection = self.writer.acquire().await.map_err(model)?;
        notes::parked(&mut connection, after, limit).await.map_err(model)
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({} version {}, instance {})", self.shared.name, self.shared.version, self.id)
    }
}
