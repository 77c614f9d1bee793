//! The store of a process that may die: it dawdles, fails, and falls silent.

use std::{future::pending, sync::Arc, time::Duration};

use annalist_core::{
    Append, AppendError, Appended, Batches, Checkpoints, Cursor, Delivery, EventStore, Key, Outcome, Position, Query,
    Read, RecordedEvent, Snapshot, Snapshots, Statistics, StoreError, StreamId, Subscription, Timestamp,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::time::timeout;

use super::life::Life;

/// See the module. Clones belong to the same process.
#[derive(Clone)]
pub(super) struct LifeStore(pub(super) Arc<Life>);

/// How long a subscription waits before it is asked whether there is anything to say without news.
const ASKED_AGAIN: Duration = Duration::from_secs(10);

const WHY: &str = "the simulation says so";

impl LifeStore {
    fn events(&self) -> &MemoryStore {
        &self.0.world.events
    }

    /// Something that changes nothing.
    async fn look<T>(&self, look: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.0.linger().await;
        if self.0.fails() {
            return Err(StoreError::Unavailable { why: WHY.to_owned() });
        }
        let seen = look.await;
        self.0.linger().await;
        seen
    }

    /// A durable step: done whole, or the process dies.
    async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        // What is in memory answers at once.
        let done = self.0.step(|| step.now_or_never()).flatten();
        match done {
            Some(done) => done,
            None => pending().await,
        }
    }
}

#[async_trait]
impl EventStore for LifeStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.0.linger().await;
        let fails = self.0.fails();
        if fails && self.0.world.random().below(2) == 0 {
            return Err(AppendError::Unavailable { why: WHY.to_owned() });
        }
        let appended = self.step(self.events().append(append)).await;
        self.0.world.news.notify_waiters();
        self.0.linger().await;
        if fails {
            return Err(AppendError::Unknown { why: WHY.to_owned() });
        }
        appended
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        self.look(self.events().outcome(key)).await
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        let inner = self.look(self.events().read(read)).await?;
        Ok(Box::new(LifeBatches { store: self.clone(), inner }))
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        let inner = self.look(self.events().subscribe(query, after)).await?;
        Ok(Box::new(LifeSubscription { life: Arc::clone(&self.0), inner }))
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
        self.look(self.events().head()).await
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        self.look(self.events().position_before(time)).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.look(self.events().statistics()).await
    }
}

/// A finite read of a process that may die.
struct LifeBatches {
    store: LifeStore,
    inner: Box<dyn Batches>,
}

#[async_trait]
impl Batches for LifeBatches {
    fn head(&self) -> Cursor {
        self.inner.head()
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        // Lingers before it takes anything, so that dropping it loses nothing.
        self.store.0.linger().await;
        if self.store.0.fails() {
            return Err(StoreError::Unavailable { why: WHY.to_owned() });
        }
        self.inner.next().await
    }
}

/// A subscription of a process that may die.
struct LifeSubscription {
    life: Arc<Life>,
    inner: Box<dyn Subscription>,
}

#[async_trait]
impl Subscription for LifeSubscription {
    async fn next(&mut self) -> Result<Delivery, StoreError> {
        self.life.linger().await;
        if self.life.fails() {
            return Err(StoreError::Unavailable { why: WHY.to_owned() });
        }
        loop {
            let news = self.life.world.news.notified();
            if let Some(delivery) = self.inner.next().now_or_never() {
                return delivery;
            }
            // A subscription wakes by a channel that wakes whom it likes first; here it goes in order. What it says after a
            // while without news, it is asked for.
            _ = timeout(ASKED_AGAIN, news).await;
            self.life.alive().await;
        }
    }
}

#[async_trait]
impl Snapshots for LifeStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.look(Snapshots::load(self.events(), stream)).await
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        self.0.linger().await;
        self.step(Snapshots::save(self.events(), stream, snapshot)).await
    }
}

#[async_trait]
impl Checkpoints for LifeStore {
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.look(Checkpoints::load(self.events(), name)).await
    }

    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError> {
        self.0.linger().await;
        if self.0.fails() {
            return Err(StoreError::Unavailable { why: WHY.to_owned() });
        }
        self.step(Checkpoints::save(self.events(), name, note)).await
    }
}
