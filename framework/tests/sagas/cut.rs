//! A store that ends the process: after its n-th append nothing answers any more. And one that is in a bad mood.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use annalist::{
    Append, AppendError, Appended, Cursor, EventStore, Key, Position, Query, Read, Store, StoreError, StreamId,
    Timestamp, projection::KeyValueStore,
};
use annalist_core::{Batches, Checkpoints, Outcome, Snapshot, Snapshots, Statistics, Subscription};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

/// See the module. Clones are the same process; the log outlives it.
#[derive(Clone)]
pub(crate) struct CutStore {
    memory: MemoryStore,
    left: Arc<AtomicU64>,
    /// Counts appends, if some of them are to fail.
    moods: Option<Arc<AtomicU64>>,
    /// It has no notes from before.
    forgetful: bool,
    dead: watch::Sender<bool>,
}

impl CutStore {
    /// The process lives for so many appends.
    pub(crate) fn new(memory: MemoryStore, appends: u64) -> Self {
        Self {
            memory,
            left: Arc::new(AtomicU64::new(appends)),
            moods: None,
            forgetful: false,
            dead: watch::Sender::new(false),
        }
    }

    /// One that lives on, but refuses every third append, and of every third does not say whether it was recorded.
    pub(crate) fn moody(memory: MemoryStore) -> Self {
        Self { moods: Some(Arc::default()), ..Self::new(memory, u64::MAX) }
    }

    /// One whose notes are lost.
    pub(crate) fn forgetful(self) -> Self {
        Self { forgetful: true, ..self }
    }

    pub(crate) fn store(&self, views: Arc<dyn KeyValueStore>) -> Store {
        Store::new(self.clone(), views)
    }

    /// Waits until the process is dead.
    pub(crate) async fn died(&self) {
        self.dead.subscribe().wait_for(|dead| *dead).await.unwrap();
    }

    async fn alive(&self) {
        if *self.dead.borrow() {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl EventStore for CutStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.alive().await;
        let mood = self.moods.as_ref().map_or(0, |moods| 1 + moods.fetch_add(1, Ordering::SeqCst) % 3);
        if mood == 1 {
            return Err(AppendError::Unavailable { why: "in a bad mood".to_owned() });
        }
        let appended = self.memory.append(append).await;
        if mood == 2 {
            return Err(AppendError::Unknown { why: "in a bad mood".to_owned() });
        }
        if matches!(&appended, Ok(appended) if !appended.repeated) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // It is recorded, but whoever asked for it never hears of it.
            self.dead.send_replace(true);
        }
        self.alive().await;
        appended
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        self.alive().await;
        self.memory.outcome(key).await
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        self.alive().await;
        self.memory.read(read).await
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        self.alive().await;
        self.memory.subscribe(query, after).await
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
        self.alive().await;
        self.memory.head().await
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        self.memory.position_before(time).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.memory.statistics().await
    }
}

#[async_trait]
impl Snapshots for CutStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Snapshots::load(&self.memory, stream).await
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        Snapshots::save(&self.memory, stream, snapshot).await
    }
}

#[async_trait]
impl Checkpoints for CutStore {
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.alive().await;
        if self.forgetful {
            return Ok(None);
        }
        Checkpoints::load(&self.memory, name).await
    }

    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError> {
        self.alive().await;
        Checkpoints::save(&self.memory, name, note).await
    }
}
