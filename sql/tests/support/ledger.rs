//! A view of which events were applied, on every kind of read model: the embedded one too, which is the measure.

use std::{
    collections::BTreeSet,
    future::Future,
    marker::PhantomData,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use annalist::{
    Recorded, SystemEnv,
    projection::{
        ApplyError, Embedded, KeyValueStore, MemoryKeyValue, OnFailure, Projection, ProjectionSet, Projections,
        ReadModel, Rows as _, Table, Tx,
    },
};
use annalist_core::Direction;
use annalist_sql::{Postgres, PostgresTx, Sqlite, SqliteTx, sqlx};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{AccountEvent, Server, World};

/// The positions that were applied, in the order in which they were, by stream.
pub(crate) type Applied = Vec<(String, Vec<i64>)>;

/// A store of read models.
pub(crate) trait Ledger: Sized + Send + Sync + 'static {
    type Model: ReadModel;

    /// How many transactions write at the same time.
    const PARTITIONS: u16 = 1;

    fn make() -> impl Future<Output = Self> + Send;

    /// A service with one projection, on what is there.
    fn start(&self, world: &World, projection: Picky<Self>) -> impl Future<Output = Projections> + Send;

    fn add(
        tx: &mut <Self::Model as ReadModel>::Tx,
        stream: &str,
        position: i64,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// What readers see.
    fn applied(&self, projections: &Projections) -> impl Future<Output = Applied> + Send;

    /// How many instances there are, as a stranger would count them.
    fn instances(&self) -> impl Future<Output = usize> + Send;

    /// The same of the notes of parked events.
    fn notes(&self) -> impl Future<Output = usize> + Send;
}

/// Parks what it cannot apply: the positions that the test says. It can be held up.
pub(crate) struct Picky<L> {
    pub(crate) bad: Arc<Mutex<BTreeSet<u64>>>,
    /// Up to this position it does not wait.
    pub(crate) free_until: Arc<AtomicU64>,
    /// One for each event behind that.
    pub(crate) permits: Arc<Semaphore>,
    /// The stream whose events need a permit in any case.
    pub(crate) held: Option<&'static str>,
    /// How many events it was given.
    pub(crate) seen: Arc<AtomicU64>,
    ledger: PhantomData<fn() -> L>,
}

impl<L> Clone for Picky<L> {
    fn clone(&self) -> Self {
        let Self { bad, free_until, permits, held, seen, ledger } = self;
        let (bad, free_until) = (Arc::clone(bad), Arc::clone(free_until));
        Self { bad, free_until, permits: Arc::clone(permits), held: *held, seen: Arc::clone(seen), ledger: *ledger }
    }
}

impl<L> Picky<L> {
    pub(crate) fn bad(positions: impl IntoIterator<Item = u64>) -> Self {
        Self {
            bad: Arc::new(Mutex::new(positions.into_iter().collect())),
            free_until: Arc::new(AtomicU64::new(u64::MAX)),
            permits: Arc::new(Semaphore::new(0)),
            held: None,
            seen: Arc::default(),
            ledger: PhantomData,
        }
    }

    pub(crate) fn mend(&self) {
        self.bad.lock().unwrap().clear();
    }

    pub(crate) fn free_until(&self, position: u64) {
        self.free_until.store(position, Ordering::SeqCst);
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }
}

impl<L: Ledger> Projection for Picky<L> {
    const NAME: &'static str = "picky";
    const VERSION: u32 = 1;
    type Event = AccountEvent;
    type Model = L::Model;
    const PARTITIONS: u16 = L::PARTITIONS;

    async fn apply(
        &self,
        event: &Recorded<AccountEvent>,
        tx: &mut <L::Model as ReadModel>::Tx,
    ) -> Result<(), ApplyError> {
        let position = event.record.position.get();
        self.seen.fetch_add(1, Ordering::SeqCst);
        if position > self.free_until.load(Ordering::SeqCst) || self.held == Some(event.record.stream()) {
            self.permits.acquire().await?.forget();
        }
        L::add(tx, event.record.stream(), position.cast_signed()).await?;
        if self.bad.lock().unwrap().contains(&position) { Err(ApplyError::new("not to my taste")) } else { Ok(()) }
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::park().attempts(2).backoff(Duration::from_millis(1))
    }
}

pub(crate) struct InEmbedded(Arc<MemoryKeyValue>);

const APPLIED: Table<String, Vec<i64>> = Table::new("applied");

impl InEmbedded {
    fn count(&self, kind: u8) -> usize {
        let (mut count, start, end) =
            (0, [b"vpicky\0", [kind].as_slice()].concat(), [b"vpicky\0", [kind + 1].as_slice()].concat());
        let counting = self.0.read(&mut |rows| {
            rows.scan(&start..&end, Direction::Forward, &mut |_, _| {
                count += 1;
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        });
        counting.unwrap();
        count
    }
}

impl Ledger for InEmbedded {
    type Model = Embedded;

    async fn make() -> Self {
        Self(Arc::new(MemoryKeyValue::new()))
    }

    async fn start(&self, world: &World, projection: Picky<Self>) -> Projections {
        let set = ProjectionSet::new(Arc::clone(&world.log), Arc::clone(&self.0) as _, Arc::new(SystemEnv));
        let mut set = set.with_options(world.options.clone());
        set.register(projection);
        set.start().await.unwrap()
    }

    async fn add(tx: &mut Tx, stream: &str, position: i64) -> Result<(), ApplyError> {
        // As the others, it gives way to others in the middle of a batch.
        tokio::task::yield_now().await;
        tx.update(&APPLIED, &stream.to_owned(), |positions| positions.push(position))?;
        Ok(())
    }

    async fn applied(&self, projections: &Projections) -> Applied {
        projections.view::<Picky<Self>>().unwrap().scan(&APPLIED).await.unwrap()
    }

    async fn instances(&self) -> usize {
        self.count(b'i')
    }

    async fn notes(&self) -> usize {
        self.count(b'p')
    }
}

/// The rows in the order of their numbers, by stream.
fn by_stream(rows: Vec<(String, i64)>) -> Applied {
    let mut applied = std::collections::BTreeMap::<String, Vec<i64>>::new();
    for (stream, position) in rows {
        applied.entry(stream).or_default().push(position);
    }
    applied.into_iter().collect()
}

const ROWS: &str = "select stream, position from applied order by number";

pub(crate) struct LedgerInSqlite(pub(crate) TempDir);

impl LedgerInSqlite {
    const TABLES: &str =
        "create table applied (number integer primary key, stream text not null, position bigint not null)";

    pub(crate) async fn open(&self) -> Sqlite {
        Sqlite::open::<Picky<Self>>(self.0.path(), Self::TABLES).await.unwrap()
    }

    pub(crate) fn files(&self) -> Vec<std::path::PathBuf> {
        let files = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| !file.is_symlink() && file.extension().is_some_and(|extension| extension == "db")).collect()
    }
}

impl Ledger for LedgerInSqlite {
    type Model = Sqlite;

    async fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn start(&self, world: &World, projection: Picky<Self>) -> Projections {
        world.start(projection, self.open().await).await
    }

    async fn add(tx: &mut SqliteTx, stream: &str, position: i64) -> Result<(), ApplyError> {
        let insert = sqlx::query("insert into applied (stream, position) values (?, ?)").bind(stream);
        insert.bind(position).execute(tx.connection()).await?;
        Ok(())
    }

    async fn applied(&self, _: &Projections) -> Applied {
        let mut view = self.open().await.read().await.unwrap();
        by_stream(sqlx::query_as(ROWS).fetch_all(view.connection()).await.unwrap())
    }

    async fn instances(&self) -> usize {
        self.files().len()
    }

    async fn notes(&self) -> usize {
        use sqlx::ConnectOptions as _;
        let mut notes = 0;
        for file in self.files() {
            let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
            let count = sqlx::query_scalar("select count(*) from annalist_parked").fetch_one(&mut connection).await;
            notes += usize::try_from(count.map(|count: i64| count).unwrap()).unwrap();
        }
        notes
    }
}

/// In PostgreSQL, written by so many transactions at the same time.
pub(crate) struct LedgerInPartitions<const PARTITIONS: u16>(pub(crate) Server);

pub(crate) type LedgerInPostgres = LedgerInPartitions<1>;

impl<const PARTITIONS: u16> LedgerInPartitions<PARTITIONS> {
    const TABLES: &str =
        "create table applied (number serial primary key, stream text not null, position bigint not null)";

    pub(crate) fn model(&self) -> Postgres {
        Postgres::at::<Picky<Self>>(&self.0.url(), Self::TABLES).unwrap()
    }

    async fn count(&self, count: &'static str) -> usize {
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut self.0.connection().await).await.unwrap();
        usize::try_from(count).unwrap()
    }
}

impl<const PARTITIONS: u16> Ledger for LedgerInPartitions<PARTITIONS> {
    type Model = Postgres;
    const PARTITIONS: u16 = PARTITIONS;

    async fn make() -> Self {
        Self(Server::start().await)
    }

    async fn start(&self, world: &World, projection: Picky<Self>) -> Projections {
        world.start(projection, self.model()).await
    }

    async fn add(tx: &mut PostgresTx, stream: &str, position: i64) -> Result<(), ApplyError> {
        let insert = sqlx::query("insert into applied (stream, position) values ($1, $2)").bind(stream);
        insert.bind(position).execute(tx.connection()).await?;
        Ok(())
    }

    async fn applied(&self, _: &Projections) -> Applied {
        let mut view = self.model().read().await.unwrap();
        by_stream(sqlx::query_as(ROWS).fetch_all(view.connection()).await.unwrap())
    }

    async fn instances(&self) -> usize {
        self.count("select count(*) from annalist.views").await
    }

    async fn notes(&self) -> usize {
        self.count("select count(*) from annalist.parked").await
    }
}
