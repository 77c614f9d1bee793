//! Read models in SQLite: a file for each instance.

mod folder;
mod notes;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use annalist::projection::{ModelError, Projection, ReadModel};
use annalist_core::{Cursor, EventId};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::folder::Folder;
use crate::{
    error::{SqlError, is_outage_of_any, model},
    fence::{Fence, gone},
    limits::{ATTEMPTS_MAX, IDLE, PATIENCE, READERS_MAX},
    tx::{SqliteTx, Tx, View},
};

/// The rows of a projection in SQLite files in a folder of their own.
///
/// An instance is a file, and `live.db` is a link to the live one: other programs may read that. The files are in WAL
/// mode, so that readers and the writer do not wait for each other, and are not synced with every commit
/// (`synchronous = NORMAL`): a power failure may take the last batches, rows and cursor together, and they are replayed.
///
/// One service at a time fills a projection: when two do, the one that came later goes on, and the other one's projection
/// stops with [`ModelError::Fenced`]. Clones share the connections.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
    /// Which instance.
    id: String,
    /// One connection, for there is one writer.
    writer: SqlitePool,
    fence: Arc<Fence>,
}

/// What all instances of a projection have in common.
struct Shared {
    name: &'static str,
    version: i64,
    tables: &'static str,
    folder: Folder,
    /// Connections to the live instance, and which it was when they were made.
    readers: Mutex<Option<(String, SqlitePool)>>,
}

impl Sqlite {
    /// Opens the rows of projection `P` in a folder, made there if need be: the live instance, if it was filled by this
    /// version of the projection; otherwise the one that this version has begun to fill, or a new one, whose tables and
    /// indexes the statements in `tables` make. What interrupted rebuilds left is removed.
    ///
    /// # Errors
    /// [`SqlError`] when files cannot be made or read, or SQLite refuses the tables.
    pub async fn open<P: Projection>(folder: impl AsRef<Path>, tables: &'static str) -> Result<Self, SqlError> {
        let folder = Folder::make(folder.as_ref()).await?;
        let (name, version) = (P::NAME, i64::from(P::VERSION));
        let shared = Arc::new(Shared { name, version, tables, folder, readers: Mutex::default() });
        let id = shared.open().await?;
        Ok(Self::instance(shared, id))
    }

    fn instance(shared: Arc<Shared>, id: String) -> Self {
        // One that writes, and one that asks for the cursor meanwhile.
        let writer = pool(2).connect_lazy_with(options(&shared.folder.file(&id)));
        Self { shared, id, writer, fence: Arc::new(Fence::new()) }
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
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    PoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).idle_timeout(IDLE)
}

impl Shared {
    /// Finds or makes the instance that this version of the projection is to fill.
    async fn open(&self) -> Result<String, SqlError> {
        let live = self.folder.live().await?;
        let (mut ours, mut remains) = (None, Vec::new());
        // The newest last, and the live one behind all.
        let mut ids = self.folder.list().await?;
        ids.sort_by_key(|id| (Some(id) == live.as_ref(), id.clone()));
        for id in ids {
            let mut connection = options(&self.folder.file(&id)).connect().await?;
            let owner = notes::owner(&mut connection).await?;
            connection.close().await?;
            match owner {
                Some((found, _)) if found != self.name => {
                    let folder = self.folder.path().to_owned();
                    return Err(SqlError::Occupied { folder, found, projection: self.name });
                }
                Some((_, version)) if version == self.version => remains.extend(ours.replace(id)),
                _ => remains.push(id),
            }
        }
        remains.retain(|id| Some(id) != live.as_ref());
        self.remove(remains).await;
        match ours {
            Some(id) => Ok(id),
            None => self.create().await,
        }
    }

    /// Makes an empty instance.
    async fn create(&self) -> Result<String, SqlError> {
        let id = EventId::generate().to_string();
        let mut connection = options(&self.folder.file(&id)).create_if_missing(true).connect().await?;
        let made = self.make_tables(&mut connection).await;
        connection.close().await?;
        if made.is_err() {
            self.remove(vec![id.clone()]).await;
        }
        made.map(|()| id)
    }

    async fn make_tables(&self, connection: &mut SqliteConnection) -> Result<(), SqlError> {
        let mut transaction = connection.begin().await?;
        notes::make_table(&mut transaction, self.name, self.version).await?;
        let made = sqlx::raw_sql(self.tables).execute(&mut *transaction).await;
        made.map_err(|source| SqlError::Tables { projection: self.name, source })?;
        Ok(transaction.commit().await?)
    }

    /// Removes instances that nobody needs any more. One that cannot be removed now is removed later.
    async fn remove(&self, ids: Vec<String>) {
        for id in ids {
            if let Err(error) = self.folder.remove(&id).await {
                let (projection, error) = (self.name, &error as &dyn std::error::Error);
                tracing::warn!(projection, id, error, "an old instance is removed when the view is next opened");
            }
        }
    }

    /// Begins to read an instance, and tells which version of the projection has filled it.
    async fn begin_reading(&self, id: &str) -> Result<(View<sqlx::Sqlite>, i64), sqlx::Error> {
        let mut transaction = self.readers(id).begin().await?;
        // The first query is what settles the state that the transaction sees.
        let version = notes::version(&mut transaction).await?;
        Ok((View { transaction }, version))
    }

    /// Connections to the live instance. Those to the one before are closed when they are returned.
    fn readers(&self, live: &str) -> SqlitePool {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        match &*readers {
            Some((id, pool)) if id == live => pool.clone(),
            _ => {
                let options = options(&self.folder.file(live)).pragma("query_only", "on");
                let pool = pool(READERS_MAX).connect_lazy_with(options);
                *readers = Some((live.to_owned(), pool.clone()));
                pool
            }
        }
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

    async fn begin(&self) -> Result<SqliteTx, ModelError> {
        self.check().await?;
        let mut transaction = self.writer.begin_with("begin immediate").await.map_err(model)?;
        self.fence.admit(&notes::note(&mut transaction).await?)?;
        Ok(Tx { transaction, fence: Arc::clone(&self.fence), instance: 0 })
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
        Ok(Self::instance(Arc::clone(&self.shared), id))
    }

    async fn promote(&self) -> Result<(), ModelError> {
        self.check().await?;
        let before = self.shared.folder.live().await?;
        let mut connection = self.writer.acquire().await.map_err(model)?;
        // The link is durable: so must be what it leads to, or a power failure would leave readers a part of it.
        notes::sync(&mut connection).await.map_err(model)?;
        self.shared.folder.point(&self.id).await?;
        self.shared.remove(before.into_iter().filter(|id| *id != self.id).collect()).await;
        Ok(())
    }

    async fn discard(&self) -> Result<(), ModelError> {
        if self.is_live().await? {
            let why = format!("the live instance of the view `{}` cannot be discarded", self.shared.name);
            return Err(ModelError::Other(why.into()));
        }
        self.writer.close().await;
        Ok(self.shared.folder.remove(&self.id).await?)
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({} version {}, instance {})", self.shared.name, self.shared.version, self.id)
    }
}
