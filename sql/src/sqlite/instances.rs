//! All instances of a projection: which there are, and which are needed.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use annalist::projection::Kept;
use annalist_core::EventId;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    pool::PoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    folder::Folder,
    notes::{self, Tidying},
};
use crate::{
    error::SqlError,
    limits::{IDLE, PATIENCE, READERS_MAX},
    tx::View,
};

/// What all instances of a projection have in common.
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) version: i64,
    tables: &'static str,
    pub(super) folder: Folder,
    /// Connections to the live instance, and which it was when they were made.
    readers: Mutex<Option<(String, SqlitePool)>>,
}

/// What a file says of itself.
struct Found {
    id: String,
    /// `None` if it was not made to the end.
    version: Option<i64>,
    rebuild: Option<Kept>,
    /// Which one was live before it; it is kept if this is the live one.
    previous: Option<String>,
}

pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE)
}

pub(super) fn pool(connections: u32) -> SqlitePoolOptions {
    PoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).idle_timeout(IDLE)
}

impl Shared {
    pub(super) fn new(name: &'static str, version: u32, tables: &'static str, folder: Folder) -> Self {
        Self { name, version: i64::from(version), tables, folder, readers: Mutex::default() }
    }

    /// Finds or makes the instance that this version of the projection is to fill, and removes what nobody needs.
    pub(super) async fn open(&self) -> Result<String, SqlError> {
        let live = self.folder.live().await?;
        let mut found = self.find().await?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        let mut previous = None;
        if let Some(live) = found.iter().find(|found| Some(&found.id) == live.as_ref()) {
            previous = live.previous.clone().filter(|previous| found.iter().any(|found| found.id == *previous));
            if live.rebuild.is_some() {
                self.tidy(&live.id, Tidying::Filled).await;
            }
        }
        if let Some(previous) = &previous {
            self.tidy(previous, Tidying::ShutOut).await;
        }

        let ours = |found: &&Found| found.version == Some(self.version);
        let is_live = |found: &&Found| Some(&found.id) == live.as_ref();
        let is_kept = |found: &&Found| found.rebuild.is_some() || Some(&found.id) == previous.as_ref();
        let newest = || found.iter().rev().find(|found| ours(found) && !is_kept(found));
        let opened = found.iter().find(|found| ours(found) && is_live(found)).or_else(newest);
        let opened = match opened {
            Some(opened) => opened.id.clone(),
            None => self.create().await?,
        };
        let stays = |found: &&Found| {
            is_live(found)
                || found.id == opened
                || Some(&found.id) == previous.as_ref()
                || (found.rebuild.is_some() && ours(found))
        };
        let unwanted: Vec<_> = found.iter().filter(|found| !stays(found)).map(|found| found.id.clone()).collect();
        self.remove(unwanted).await;
        Ok(opened)
    }

    /// The instances of this version that are kept.
    pub(super) async fn kept(&self) -> Result<Vec<(String, Kept)>, SqlError> {
        let live = self.folder.live().await?;
        let found = self.find().await?;
        let previous = found.iter().find(|found| Some(&found.id) == live.as_ref());
        let previous = previous.and_then(|live| live.previous.clone());
        let others = found.into_iter().filter(|found| Some(&found.id) != live.as_ref());
        let ours = others.filter(|found| found.version == Some(self.version));
        let kept = ours.filter_map(|Found { id, rebuild, .. }| {
            let why = if Some(&id) == previous.as_ref() { Some(Kept::Previous) } else { rebuild };
            why.map(|why| (id, why))
        });
        Ok(kept.collect())
    }

    /// Which instance the live one keeps beside it.
    pub(super) async fn previous_of(&self, live: Option<&str>) -> Result<Option<String>, SqlError> {
        match live {
            Some(live) => Ok(self.look(live).await?.and_then(|live| live.previous)),
            None => Ok(None),
        }
    }

    /// All instances.
    async fn find(&self) -> Result<Vec<Found>, SqlError> {
        let mut found = Vec::new();
        for id in self.folder.list().await? {
            found.extend(self.look(&id).await?);
        }
        Ok(found)
    }

    /// Looks at one instance; `None` if it was removed meanwhile.
    async fn look(&self, id: &str) -> Result<Option<Found>, SqlError> {
        let looked = async {
            let mut connection = options(&self.folder.file(id)).connect().await?;
            let looked = self.look_into(&mut connection, id).await;
            connection.close().await?;
            looked
        };
        match looked.await {
            Err(_) if !self.folder.has(id).await? => Ok(None),
            looked => looked.map(Some),
        }
    }

    async fn look_into(&self, connection: &mut SqliteConnection, id: &str) -> Result<Found, SqlError> {
        let mut found = Found { id: id.to_owned(), version: None, rebuild: None, previous: None };
        let Some((owner, version)) = notes::owner(connection).await? else { return Ok(found) };
        if owner != self.name {
            let folder = self.folder.path().to_owned();
            return Err(SqlError::Occupied { folder, found: owner, projection: self.name });
        }
        notes::complete(connection).await?;
        found.version = Some(version);
        found.rebuild = notes::rebuild(connection).await?;
        found.previous = notes::previous(connection).await?;
        Ok(found)
    }

    /// Makes an empty instance.
    pub(super) async fn create(&self) -> Result<String, SqlError> {
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
        notes::make_tables(&mut transaction, self.name, self.version).await?;
        let made = sqlx::raw_sql(self.tables).execute(&mut *transaction).await;
        made.map_err(|source| SqlError::Tables { projection: self.name, source })?;
        Ok(transaction.commit().await?)
    }

    /// Tidies an instance. What cannot be done now is done when the view is next opened.
    pub(super) async fn tidy(&self, id: &str, tidying: Tidying) {
        let tidied = async {
            let mut connection = options(&self.folder.file(id)).connect().await?;
            let tidied = notes::tidy(&mut connection, tidying).await;
            connection.close().await?;
            tidied
        };
        if let Err(error) = tidied.await {
            let (projection, error) = (self.name, &error as &dyn std::error::Error);
            tracing::warn!(projection, id, error, "the note of an instance is put right when the view is next opened");
        }
    }

    /// Removes instances that nobody needs any more. One that cannot be removed now is removed later.
    pub(super) async fn remove(&self, ids: Vec<String>) {
        for id in ids {
            if let Err(error) = self.folder.remove(&id).await {
                let (projection, error) = (self.name, &error as &dyn std::error::Error);
                tracing::warn!(projection, id, error, "an old instance is removed when the view is next opened");
            }
        }
    }

    /// Begins to read an instance, and tells which version of the projection has filled it.
    pub(super) async fn begin_reading(&self, id: &str) -> Result<(View<sqlx::Sqlite>, i64), sqlx::Error> {
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
