//! All instances of a projection: which there are, and which are needed.

use annalist::projection::{Kept, Projection};
use sqlx::{
    PgConnection, PgPool,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::notes::{self, Row};
use crate::{
    error::SqlError,
    limits::{IDLE, PATIENCE, READERS_MAX, WRITERS_MAX},
};

/// What all instances of a projection have in common.
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) version: i64,
    tables: &'static str,
    pub(super) writers: PgPool,
    pub(super) readers: PgPool,
}

fn pool(connections: u32) -> PgPoolOptions {
    PoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).idle_timeout(IDLE)
}

impl Shared {
    pub(super) fn new<P: Projection>(tables: &'static str, options: PgConnectOptions) -> Self {
        let lock_timeout = format!("{}ms", PATIENCE.as_millis());
        let options = options.options([("lock_timeout", lock_timeout)]);
        let writers = pool(WRITERS_MAX + u32::from(P::PARTITIONS) - 1).connect_lazy_with(options.clone());
        let readers = pool(READERS_MAX).connect_lazy_with(options);
        Self { name: P::NAME, version: i64::from(P::VERSION), tables, writers, readers }
    }

    /// Finds or makes the instance that this version of the projection is to fill, and removes what nobody needs.
    pub(super) async fn open(&self) -> Result<i64, SqlError> {
        let mut transaction = self.writers.begin().await?;
        notes::make_tables(&mut transaction).await?;
        notes::alone(&mut transaction, self.name).await?;
        let rows = notes::all(&mut transaction, self.name).await?;
        let ours = rows.iter().filter(|row| row.version == self.version && (row.live || row.kept.is_none()));
        let number = match ours.max_by_key(|row| (row.live, row.instance)) {
            Some(row) => {
                notes::revive(&mut transaction, row.instance).await?;
                row.instance
            }
            None => self.create(&mut transaction).await?,
        };
        transaction.commit().await?;
        let stays = |row: &Row| match row.kept {
            Some(Kept::Rebuild(_)) => row.version == self.version,
            Some(_) => true,
            None => false,
        };
        let unwanted = rows.iter().filter(|row| !row.live && row.instance != number && !stays(row));
        let unwanted: Vec<_> = unwanted.map(|row| row.instance).collect();
        self.remove(unwanted).await;
        Ok(number)
    }

    /// Makes an empty instance.
    pub(super) async fn create(&self, connection: &mut PgConnection) -> Result<i64, SqlError> {
        let instance = notes::add(connection, self.name, self.version).await?;
        notes::enter(connection, self.name, instance).await?;
        sqlx::raw_sql(self.tables)
            .execute(connection)
            .await
            .map_err(|source| SqlError::Tables { projection: self.name, source })?;
        Ok(instance)
    }

    /// The instances of this version that are kept.
    pub(super) async fn kept(&self) -> Result<Vec<(i64, Kept)>, SqlError> {
        let mut connection = self.writers.acquire().await?;
        let rows = notes::all(&mut connection, self.name).await?;
        let ours = rows.into_iter().filter(|row| row.version == self.version && !row.live);
        Ok(ours.filter_map(|row| row.kept.map(|why| (row.instance, why))).collect())
    }

    /// Makes an instance live, signed by its writer, and tells which ones nobody needs any more; `None` if it is gone.
    pub(super) async fn promote(&self, instance: i64, writer: &str, keep: bool) -> Result<Option<Vec<i64>>, SqlError> {
        let mut transaction = self.writers.begin().await?;
        notes::alone(&mut transaction, self.name).await?;
        let rows = notes::all(&mut transaction, self.name).await?;
        let Some(row) = rows.iter().find(|row| row.instance == instance) else { return Ok(None) };
        if row.live {
            return Ok(Some(Vec::new()));
        }
        notes::make_live(&mut transaction, self.name, instance, writer, keep).await?;
        transaction.commit().await?;
        let others = rows.iter().filter(|row| row.instance != instance);
        let unwanted = others.filter(|row| (row.live && !keep) || matches!(row.kept, Some(Kept::Previous)));
        Ok(Some(unwanted.map(|row| row.instance).collect()))
    }

    /// Removes instances that nobody needs any more. One that cannot be removed now is removed later.
    pub(super) async fn remove(&self, instances: Vec<i64>) {
        for instance in instances {
            if let Err(error) = self.remove_one(instance).await {
                let (projection, error) = (self.name, &error as &dyn std::error::Error);
                tracing::warn!(projection, instance, error, "an old instance is removed when the view is next opened");
            }
        }
    }

    pub(super) async fn remove_one(&self, instance: i64) -> Result<(), SqlError> {
        let mut transaction = self.writers.begin().await?;
        if notes::remove(&mut transaction, self.name, instance).await? {
            transaction.commit().await?;
        } else {
            let projection = self.name;
            tracing::info!(projection, instance, "an old instance is still being read; it is removed later");
        }
        Ok(())
    }
}
