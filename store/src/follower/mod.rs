//! A store read beside the process that has it open (ADR 63).

mod chase;
mod open;

use std::{fmt, ops::ControlFlow, path::Path, sync::Arc, thread, time::Duration};

use annalist_core::{
    Append, AppendError, Appended, Batches, Cursor, EventStore, Key, Outcome, Position, Progress, Query, Read,
    Statistics, StoreError, StreamId, Subscription, Timestamp, Verified, Version,
};
use annalist_metrics::Health;
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use crossbeam_channel::{Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::{
    care,
    error::OpenError,
    limits, observe, reader, sequencer,
    shared::{Shared, blocking},
    store::{self, Store},
    subscription, verify,
};

use chase::Hindrance;
use open::identity;

/// Settings of a [`Follower`]. Everything has a default that is right for most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FollowOptions {
    /// How often to look for what is new, in milliseconds: how far the follower lags behind. Default: 20. Since 0.1.
    pub interval_millis: u64,
    /// Memory for blocks of the index, in bytes. Default: 16 MiB. Since 0.1.
    pub block_cache_bytes: usize,
    /// Events that are looked up in memory together, until the index has them. Default: 65,536, as a store has it. Since 0.1.
    pub index_chunk_events: usize,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            interval_millis: 20,
            block_cache_bytes: 16 * 1024 * 1024,
            index_chunk_events: limits::INDEX_CHUNK_EVENTS,
        }
    }
}

/// A store that another process may have open, for reading: inspection, reports, consumers that keep their cursors elsewhere.
/// Cloning is cheap; all clones are the same follower.
///
/// It shows what is durable, in the same order and with the same cursors, some milliseconds later
/// ([`FollowOptions::interval_millis`]), and goes on while the other process ends, is killed and starts again. It writes nothing
/// into the folder, which may be read-only. Appends are refused with [`AppendError::ReadOnly`].
///
/// When another store or another epoch comes to stand in the folder, everything ends with [`StoreError::ForeignCursor`]; when the
/// index is made anew, with [`StoreError::Unavailable`]: follow again.
///
/// ```
/// use annalist_core::{Append, Delivery, EventId, EventStore as _, EventType, Expected, NewEvent, Query, StreamId};
/// use annalist_store::{FollowOptions, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let store = Store::open(dir)?; // usually in another process
/// let follower = Store::follow(dir, FollowOptions::default())?;
/// let mut subscription = follower.subscribe(Query::all(), follower.head().await?).await?;
/// assert!(matches!(subscription.next().await?, Delivery::CaughtUp(_)));
///
/// let event = NewEvent::new(EventId::generate(), EventType::new("greeted")?, "{}");
/// store.append(Append::new().events(StreamId::new("greeting-1")?, Expected::NoStream, [event])).await?;
/// let Delivery::Events(events) = subscription.next().await? else { panic!("something was recorded") };
/// assert_eq!(events[0].stream(), "greeting-1");
/// follower.close().await?;
/// # store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Follower {
    running: Arc<ArcSwapOption<Running>>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Follower");
        match self.running.load().as_deref() {
            Some(Running { shared, .. }) => {
                debug.field("id", &shared.identity.id).field("head", &shared.watermark());
            }
            None => _ = debug.field("closed", &true),
        }
        debug.finish_non_exhaustive()
    }
}

/// What a follower consists of: its thread ends with it.
struct Running {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    hindrance: Hindrance,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of a follower panicked");
        }
    }
}

impl Store {
    /// Follows the store in a folder, which another process may have open or nobody. Blocks for as long as it takes to read what
    /// the index does not have yet.
    ///
    /// # Errors
    /// [`OpenError::NotAStore`] where there is none, [`OpenError::Unavailable`] when it cannot be read at present (its process
    /// is just making it, or its index is missing or too far behind), [`OpenError::Damaged`] when it is damaged.
    pub fn follow(dir: impl AsRef<Path>, options: FollowOptions) -> Result<Follower, OpenError> {
        let dir = dir.as_ref();
        let (shared, chase) = open::open(dir, &options)?;
        let (stop, stopped) = bounded(0);
        let hindrance = Hindrance::default();
        let (interval, told) = (Duration::from_millis(options.interval_millis.max(1)), Arc::clone(&hindrance));
        let thread = sequencer::spawn("annalist-follower", move || chase.run(interval, &stopped, &told));
        let thread = Some(thread.map_err(OpenError::io("start the thread of a follower of", dir))?);
        let running = Running { shared, stop: Some(stop), thread, hindrance };
        Ok(Follower { running: Arc::new(ArcSwapOption::from_pointee(running)) })
    }
}

impl Follower {
    /// What its parts share, while there is something to be read.
    fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        let running = self.running.load_full().ok_or(StoreError::Closed)?;
        running.shared.ended().map_or_else(|| Ok(Arc::clone(&running.shared)), Err)
    }

    /// Whether it keeps up: degraded while nothing new can be read, failed when nothing will be. That nobody writes is healthy.
    #[must_use]
    pub fn health(&self) -> Health {
        let Some(running) = self.running.load_full() else { return observe::closed().0 };
        if let Some(ended) = running.shared.ended() {
            return Health::failed(ended.to_string());
        }
        running.hindrance.lock().as_ref().map_or(Health::Healthy, |why| Health::degraded(why.clone()))
    }

    /// As [`Store::streams`].
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn streams(
        &self,
        within: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Version)>, StoreError> {
        care::streams(&self.shared()?, within, after, limit).await
    }

    /// As [`Store::verify`], of what the follower sees.
    ///
    /// # Errors
    /// As [`Store::verify`].
    pub async fn verify(
        &self,
        after: Position,
        progress: impl FnMut(Progress) -> ControlFlow<()> + Send,
    ) -> Result<Verified, StoreError> {
        verify::run(|| self.shared(), after, progress).await
    }

    /// Ends it for all its handles; subscriptions end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if reads were still under way after half a minute.
    pub async fn close(&self) -> Result<(), StoreError> {
        let Some(running) = self.running.swap(None) else { return Ok(()) };
        let shared = Arc::downgrade(&running.shared);
        store::close(running, shared).await
    }
}

#[async_trait]
impl EventStore for Follower {
    /// Always refused: appends go to the process that has the store open.
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        let why = "it is read beside the process that has it open; append there".to_owned();
        Err(AppendError::ReadOnly { why })
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        reader::outcome(&self.shared()?, key).await
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        reader::begin(&self.shared()?, read)
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        subscription::begin(&self.shared()?, query, after)
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
        let shared = self.shared()?;
        Ok(shared.cursor(shared.watermark()))
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        let shared = self.shared()?;
        blocking(move || reader::position_before(&shared, time)).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        let shared = self.shared()?;
        blocking(move || reader::statistics(&shared)).await
    }
}
