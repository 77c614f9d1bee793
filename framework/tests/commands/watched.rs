//! A store in memory that notes what is asked of it, and does what a test has scripted.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use annalist::{
    Append, AppendError, Appended, Cursor, EventStore, Key, Read, RecordedEvent, Store, StoreError, StreamId,
    projection::MemoryKeyValue,
};
use annalist_core::{
    Batches, Checkpoints, Outcome, Position, Query, Snapshot, Snapshots, Statistics, Subscription, Timestamp,
};
use annalist_memory::MemoryStore;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// What happens at an append.
pub(crate) enum Act {
    /// It is refused.
    Refuse(AppendError),
    /// It is recorded, and answered like this all the same.
    RecordAndAnswer(AppendError),
    /// It is recorded, and no answer comes until this ends.
    RecordAndHang(oneshot::Receiver<()>),
    /// Something else happens first.
    First(BoxFuture<'static, ()>),
}

/// What was asked, and what is to happen.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) appends: Vec<Append>,
    pub(crate) reads: Vec<Read>,
    pub(crate) outcomes: usize,
    /// At the next appends, in order; then all goes its way.
    pub(crate) at_appends: VecDeque<Act>,
    /// Before the next reads.
    pub(crate) before_reads: VecDeque<BoxFuture<'static, ()>>,
    /// Whether the next reads break off behind their first event.
    pub(crate) breaks: VecDeque<bool>,
}

/// A read that breaks off behind its first event.
struct Breaking {
    inner: Box<dyn Batches>,
    broken: bool,
}

#[async_trait]
impl Batches for Breaking {
    fn head(&self) -> Cursor {
        self.inner.head()
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(StoreError::Unavailable { why: "the disk is slow".to_owned() });
        }
        let mut events = self.inner.next().await?;
        events.truncate(1);
        Ok(events)
    }
}

#[derive(Clone, Default)]
pub(crate) struct Watched {
    pub(crate) memory: MemoryStore,
    notes: Arc<Mutex<Notes>>,
}

impl Watched {
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(self.clone(), Arc::new(MemoryKeyValue::new()))
    }
}

#[async_trait]
impl EventStore for Watched {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let act = {
            let mut notes = self.notes();
            notes.appends.push(append.clone());
            notes.at_appends.pop_front()
        };
        match act {
            Some(Act::Refuse(error)) => Err(error),
            Some(Act::RecordAndAnswer(error)) => {
                self.memory.append(append).await?;
                Err(error)
            }
            Some(Act::RecordAndHang(gone)) => {
                let appended = self.memory.append(append).await;
                _ = gone.await;
                appended
            }
            Some(Act::First(first)) => {
                first.await;
                self.memory.append(append).await
            }
            None => self.memory.append(append).await,
        }
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        self.notes().outcomes += 1;
        self.memory.outcome(key).await
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        let (before, breaks) = {
            let mut notes = self.notes();
            notes.reads.push(read.clone());
            (notes.before_reads.pop_front(), notes.breaks.pop_front())
        };
        if let Some(before) = before {
            before.await;
        }
        let inner = self.memory.read(read).await?;
        Ok(if breaks == Some(true) { Box::new(Breaking { inner, broken: false }) } else { inner })
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        self.memory.subscribe(query, after).await
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
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
impl Snapshots for Watched {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Snapshots::load(&self.memory, stream).await
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        Snapshots::save(&self.memory, stream, snapshot).await
    }
}

#[async_trait]
impl Checkpoints for Watched {
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        Checkpoints::load(&self.memory, name).await
    }

    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError> {
        Checkpoints::save(&self.memory, name, note).await
    }
}
