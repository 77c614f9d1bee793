//! The handle, and how it implements the ports.

use std::{collections::HashMap, fmt, sync::Arc};

use annalist_core::{
    Append, AppendError, Appended, Batches, Checkpoints, Cursor, Epoch, EventStore, Key, Outcome, Position, Query,
    Read, Snapshot, Snapshots, Statistics, StoreError, StoreId, StreamId, Subscription, Timestamp,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use uuid::Uuid;

use crate::{
    log::Log,
    reading::{Finite, Follow, positions},
};

/// Where a store takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// An event store in memory, for tests. Cloning is cheap; all clones are the same store, which is gone with the last
/// of them.
///
/// ```
/// use annalist_core::{Append, EventId, EventStore as _, EventType, Expected, NewEvent, Read, StreamId, Version};
/// use annalist_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let stream = StreamId::new("greeting-1")?;
/// let event = NewEvent::new(EventId::generate(), EventType::new("greeted")?, r#"{"name":"world"}"#);
/// store.append(Append::new().events(stream.clone(), Expected::NoStream, [event])).await?;
///
/// let mut events = store.read(Read::stream(stream, Version::ZERO)).await?;
/// assert_eq!(events.next().await?[0].type_name(), "greeted");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    origin: Cursor,
    clock: Clock,
    /// `None` once closed.
    log: Mutex<Option<Log>>,
    snapshots: Mutex<HashMap<StreamId, Snapshot>>,
    checkpoints: Mutex<HashMap<String, Bytes>>,
}

impl Inner {
    pub(crate) fn log(&self) -> Result<MappedMutexGuard<'_, Log>, StoreError> {
        MutexGuard::try_map(self.log.lock(), Option::as_mut).map_err(|_| StoreError::Closed)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MemoryStore");
        match self.inner.log() {
            Ok(log) => debug.field("id", &self.inner.origin.store).field("head", &log.head()),
            Err(_) => debug.field("closed", &true),
        };
        debug.finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store with an identity of its own and the system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the convenience for tests to which identity and time do not matter")]
    pub fn new() -> Self {
        let now = || {
            let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
        };
        Self::with(StoreId::new(Uuid::now_v7()), Arc::new(now))
    }

    /// An empty store with this identity and this clock. Recorded times never go backwards, whatever the clock does.
    #[must_use]
    pub fn with(id: StoreId, clock: Clock) -> Self {
        let inner = Inner {
            origin: Cursor { store: id, epoch: Epoch::FIRST, position: Position::ZERO },
            clock,
            log: Mutex::new(Some(Log::default())),
            snapshots: Mutex::default(),
            checkpoints: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Closes the store for all its handles and forgets the events: subscriptions end with [`StoreError::Closed`], and
    /// everything else answers the same from now on.
    pub fn close(&self) {
        *self.inner.log.lock() = None;
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        append.check()?;
        let mut log = self.inner.log()?;
        log.append(append, self.inner.origin, (self.inner.clock)())
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        Ok(self.inner.log()?.outcome(key).cloned())
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        let log = self.inner.log()?;
        let positions = positions(&log, &read)?.into_iter();
        let head = self.inner.origin.at(log.head());
        Ok(Box::new(Finite { store: Arc::downgrade(&self.inner), head, positions }))
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        query.check()?;
        let log = self.inner.log()?;
        let head = self.inner.origin.at(log.head());
        if !after.fits(&head) {
            return Err(StoreError::ForeignCursor { cursor: after, head });
        }
        let (store, announcements) = (Arc::downgrade(&self.inner), log.announcements());
        let after = self.inner.origin.at(after.position);
        Ok(Box::new(Follow { store, announcements, query, after, at_edge: false, checkpoint_due: None }))
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
        Ok(self.inner.origin.at(self.inner.log()?.head()))
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        Ok(self.inner.log()?.position_before(time))
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        Ok(self.inner.log()?.statistics(self.inner.origin))
    }
}

#[async_trait]
impl Snapshots for MemoryStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let _open = self.inner.log()?;
        Ok(self.inner.snapshots.lock().get(stream).cloned())
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        let _open = self.inner.log()?;
        self.inner.snapshots.lock().insert(stream.clone(), snapshot);
        Ok(())
    }
}

#[async_trait]
impl Checkpoints for MemoryStore {
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let _open = self.inner.log()?;
        Ok(self.inner.checkpoints.lock().get(name).cloned())
    }

    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError> {
        let _open = self.inner.log()?;
        self.inner.checkpoints.lock().insert(name.to_owned(), note);
        Ok(())
    }
}
