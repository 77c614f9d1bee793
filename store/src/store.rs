//! The handle of an open store, and how it implements the ports.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use annalist_core::{
    Append, AppendError, Appended, Batches, Checkpoints, Cursor, EventStore, Key, Outcome, Position, Query, Read,
    SYSTEM_STREAM, Snapshot, Snapshots, Statistics, StoreError, StreamId, Subscription, Timestamp, Version,
};
use annalist_metrics::{Health, Metrics};
use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument as _;

use crate::{
    concurrency::{ArcSwapOption, Instant, Semaphore, Sender, bounded, oneshot, task, thread},
    error::OpenError,
    format::KeyRow,
    indexer, limits, observe,
    options::StoreOptions,
    reader,
    recovery::{self, Opened},
    rocks::{ReadError, Tier},
    search::{Scope, first_match},
    sequencer::{self, Answer, Answered, Call, Request, repetition},
    shared::{Shared, blocking},
    snapshot, subscription,
};

/// How long [`Store::close`] waits for reads that are still under way.
const CLOSE_WAIT: Duration = Duration::from_secs(30);
const CLOSE_POLL: Duration = Duration::from_millis(1);

/// An open event store. Cloning is cheap; all clones are the same store.
///
/// Opening and dropping block for as long as the disk takes; everything else is asynchronous and needs a Tokio runtime.
///
/// ```
/// use annalist_core::{Append, EventId, EventStore as _, EventType, Expected, NewEvent, Read, StreamId, Version};
/// use annalist_store::Store;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let store = Store::open(dir)?;
/// let stream = StreamId::new("greeting-1")?;
/// let event = NewEvent::new(EventId::generate(), EventType::new("greeted")?, r#"{"name":"world"}"#);
/// store.append(Append::new().events(stream.clone(), Expected::NoStream, [event])).await?;
///
/// let mut events = store.read(Read::stream(stream, Version::ZERO)).await?;
/// assert_eq!(events.next().await?[0].type_name(), "greeted");
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Store {
    engine: Arc<ArcSwapOption<Engine>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Store");
        match self.engine.load().as_deref() {
            Some(engine) => debug.field("id", &engine.shared.identity.id).field("head", &engine.shared.watermark()),
            None => debug.field("closed", &true),
        };
        debug.finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in a folder, or makes one there, with the default settings.
    ///
    /// Blocks: after a crash it reads what the index does not cover yet (a fraction of a second), after a loss of the
    /// index the whole log.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(dir, StoreOptions::default())
    }

    /// Opens the store in a folder, or makes one there.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way.
    pub fn open_with(dir: impl AsRef<Path>, options: StoreOptions) -> Result<Self, OpenError> {
        let engine = Engine::start(recovery::open(dir.as_ref(), options)?)
            .map_err(OpenError::io("start the threads of", dir.as_ref()))?;
        Ok(Self { engine: Arc::new(ArcSwapOption::from_pointee(engine)) })
    }

    fn engine(&self) -> Result<Arc<Engine>, StoreError> {
        self.engine.load_full().ok_or(StoreError::Closed)
    }

    /// What its parts share, while it is open.
    pub(crate) fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        Ok(Arc::clone(&self.engine()?.shared))
    }

    /// Appends what was recorded before, each event with its time.
    pub(crate) async fn append_past(&self, append: Append, times: Vec<Timestamp>) -> Result<Appended, AppendError> {
        let engine = self.engine()?;
        let answer = engine.append(append, Some(times)).await;
        engine.shared.metrics.answered(&answer);
        answer
    }

    /// Whether the store takes appends, as of now. Asks no disk.
    #[must_use]
    pub fn health(&self) -> Health {
        self.engine.load().as_deref().map_or_else(|| observe::closed().0, Engine::health)
    }

    /// Everything that the store measures, as of now; [`METRICS`](crate::METRICS) says what each means. What cannot be read is
    /// left out.
    pub async fn metrics(&self) -> Metrics {
        let Some(engine) = self.engine.load_full() else { return observe::closed().1 };
        let queued = engine.requests.as_ref().map_or(0, Sender::len);
        let taken = limits::QUEUE_PERMITS.saturating_sub(engine.queue.available_permits());
        observe::collect(&engine.shared, queued, taken * limits::REQUEST_BYTES_MIN).await
    }

    /// Closes the store for all its handles: what was accepted is finished and answered, the index is brought up to date,
    /// subscriptions end, and the folder is free to be opened again when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if reads were still under way after half a minute: the folder becomes free when they end.
    pub async fn close(&self) -> Result<(), StoreError> {
        let Some(engine) = self.engine.swap(None) else { return Ok(()) };
        let shared = Arc::downgrade(&engine.shared);
        close(engine, shared).await
    }
}

/// Ends what runs when no call uses it any more, and waits until what it shares with reads is free.
pub(crate) async fn close<T: Send + Sync + 'static>(running: Arc<T>, shared: Weak<Shared>) -> Result<(), StoreError> {
    let close = move || {
        let deadline = Instant::now() + CLOSE_WAIT;
        wait_for(deadline, || Arc::strong_count(&running) == 1)?;
        drop(running);
        wait_for(deadline, || shared.strong_count() == 0)
    };
    task::spawn_blocking(close).await.map_err(|_| StoreError::Closed)?
}

fn wait_for(deadline: Instant, condition: impl Fn() -> bool) -> Result<(), StoreError> {
    while !condition() {
        if Instant::now() > deadline {
            return Err(StoreError::Unavailable { why: "reads are still under way".to_owned() });
        }
        thread::sleep(CLOSE_POLL);
    }
    Ok(())
}

/// The running parts of an open store.
struct Engine {
    shared: Arc<Shared>,
    requests: Option<Sender<Call>>,
    queue: Arc<Semaphore>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Engine {
    fn start(opened: Opened) -> std::io::Result<Self> {
        let Opened { shared, start } = opened;
        let permits = limits::QUEUE_PERMITS;
        // Permits bound what is in the queue, so sending never blocks.
        let (requests, to_stage) = bounded(permits);
        let (frozen, to_index) = bounded(limits::FROZEN_GENERATIONS_MAX + 1);
        let mut threads = sequencer::start(&shared, start, to_stage, frozen)?;
        let index = Arc::clone(&shared);
        threads.push(sequencer::spawn("annalist-index", move || indexer::run(&index, &to_index))?);
        Ok(Self { shared, requests: Some(requests), queue: Arc::new(Semaphore::new(permits)), threads })
    }

    fn health(&self) -> Health {
        if self.threads.iter().any(thread::JoinHandle::is_finished) {
            return Health::failed("a thread of the store has ended; reopen the store");
        }
        observe::health(&self.shared)
    }

    /// `times` says when each event was recorded, in the order of the append; `None` for now.
    async fn append(&self, mut append: Append, mut times: Option<Vec<Timestamp>>) -> Result<Appended, AppendError> {
        let began = Instant::now();
        let bytes = append.check()?;
        let permits = u32::try_from(bytes / limits::REQUEST_BYTES_MIN + 1).unwrap_or(u32::MAX);
        loop {
            if let Some(poisoned) = self.shared.poisoned() {
                return Err(poisoned);
            }
            if let Some(why) = self.shared.space.shortage() {
                return Err(AppendError::Unavailable { why });
            }
            let permit = Arc::clone(&self.queue).acquire_many_owned(permits).await;
            let permit = permit.map_err(|_| AppendError::Store(StoreError::Closed))?;
            let seen;
            (append, seen) = self.look(append).await?;
            let (seen, heads) = match seen {
                Seen::Free { seen, heads } => (seen, heads),
                Seen::Key(row) => {
                    let answer = append.keyed.as_ref().map(|keyed| repetition(keyed, row));
                    return match answer {
                        Some(Answer::Refused(error)) => Err(error),
                        _ => Ok(self.outcome(row).await?.appended),
                    };
                }
                Seen::Conflict(error) => return Err(error),
            };
            let (answer, answered) = oneshot::channel();
            let streams = Vec::with_capacity(heads.len());
            let times_of = times.take();
            let request =
                Box::new(Request { append, times: times_of, bytes, began, seen, heads, streams, _permit: permit });
            let Some(Ok(())) = self.requests.as_ref().map(|requests| requests.send(Call { request, answer })) else {
                return Err(AppendError::Store(StoreError::Closed));
            };
            let Ok(Answered { request, answer, others }) = answered.await else {
                return Err(AppendError::Unknown { why: "the sequencer stopped".to_owned() });
            };
            drop(others);
            match answer {
                Answer::Recorded { after, last } => {
                    let cursor = self.shared.cursor(last);
                    return Ok(Appended { after, cursor, streams: request.streams, repeated: false });
                }
                Answer::Repeated(row) => return Ok(self.outcome(row).await?.appended),
                Answer::Refused(error) => return Err(error),
                Answer::Stale => (append, times) = (request.append, request.times),
            }
        }
    }

    /// Looks up on the caller's side what the append is to be checked against.
    async fn look(&self, append: Append) -> Result<(Append, Seen), StoreError> {
        match look(&self.shared, &append, Tier::Memory) {
            Err(ReadError::NotInMemory) => {
                self.shared.metrics.not_in_memory();
                let shared = Arc::clone(&self.shared);
                blocking(move || {
                    let seen = look(&shared, &append, Tier::Disk)?;
                    Ok((append, seen))
                })
                .await
            }
            seen => Ok((append, seen.map_err(ReadError::into_store_error)?)),
        }
    }

    async fn outcome(&self, row: KeyRow) -> Result<Outcome, StoreError> {
        reader::outcome_of(&self.shared, row).await
    }
}

impl Drop for Engine {
    /// Lets the threads finish what was accepted, and waits for them.
    fn drop(&mut self) {
        self.requests = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        if let Err(error) = self.shared.index.flush_snapshots() {
            tracing::warn!(%error, "cached snapshots were not written out");
        }
    }
}

/// What a caller found up to the watermark.
enum Seen {
    /// Nothing against it: the heads of its streams.
    Free { seen: Position, heads: Vec<Version> },
    /// Its key is recorded.
    Key(KeyRow),
    /// A stream is not as expected, or a condition does not hold.
    Conflict(AppendError),
}

fn look(shared: &Shared, append: &Append, tier: Tier) -> Result<Seen, ReadError> {
    let (seen, view) = shared.durable_view();
    if let Some(keyed) = &append.keyed
        && let Some(row) = view.key(&shared.index, &keyed.key, seen, tier)?
    {
        return Ok(Seen::Key(row));
    }
    let mut heads: Vec<Version> = Vec::with_capacity(append.entries.len() + 1);
    for (at, entry) in append.entries.iter().enumerate() {
        let earlier = append.entries.iter().take(at).zip(&heads).rfind(|(earlier, _)| earlier.stream == entry.stream);
        let actual = match earlier {
            Some((earlier, head)) => Version::new(head.get() + earlier.events.len() as u64),
            None => view.head(&shared.index, entry.stream.as_str(), seen, tier)?,
        };
        if !entry.expected.holds(actual) {
            let (stream, expected) = (entry.stream.clone(), entry.expected);
            return Ok(Seen::Conflict(AppendError::Conflict { stream, expected, actual }));
        }
        heads.push(actual);
    }
    for (number, condition) in (1..).zip(&append.conditions) {
        if let Err(foreign) = shared.locate(condition.after) {
            return Ok(Seen::Conflict(foreign.into()));
        }
        let range = (condition.after().next(), seen);
        let scope = Scope { view: &view, disk: Some((&shared.index, tier)), range };
        if let Some(first) = first_match(scope, &condition.query)? {
            let query = condition.query.clone();
            return Ok(Seen::Conflict(AppendError::ConditionFailed { number, query, first }));
        }
    }
    if append.keyed.is_some() && append.event_count() == 0 {
        heads.push(view.head(&shared.index, SYSTEM_STREAM, seen, tier)?);
    }
    Ok(Seen::Free { seen, heads })
}

#[async_trait]
impl EventStore for Store {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let engine = self.engine()?;
        let span = tracing::debug_span!("annalist.append", entries = append.entries.len());
        let answer = engine.append(append, None).instrument(span).await;
        engine.shared.metrics.answered(&answer);
        answer
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        reader::outcome(&self.engine()?.shared, key).await
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        reader::begin(&self.engine()?.shared, read)
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        query.check()?;
        subscription::begin(&self.engine()?.shared, query, after)
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
        let engine = self.engine()?;
        Ok(engine.shared.cursor(engine.shared.watermark()))
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        let shared = Arc::clone(&self.engine()?.shared);
        blocking(move || reader::position_before(&shared, time)).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        let shared = Arc::clone(&self.engine()?.shared);
        blocking(move || reader::statistics(&shared)).await
    }
}

#[async_trait]
impl Snapshots for Store {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let engine = self.engine()?;
        let (shared, stream) = (Arc::clone(&engine.shared), stream.clone());
        let bytes = blocking(move || shared.index.snapshot(stream.as_str())).await?;
        // A snapshot that cannot be read is as good as none.
        Ok(bytes.as_ref().and_then(snapshot::decode))
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let (shared, stream) = (Arc::clone(&engine.shared), stream.clone());
        blocking(move || shared.index.put_snapshot(stream.as_str(), &snapshot::encode(&snapshot))).await
    }
}

#[async_trait]
impl Checkpoints for Store {
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let engine = self.engine()?;
        let (shared, name) = (Arc::clone(&engine.shared), name.to_owned());
        blocking(move || shared.log.note(&name)).await
    }

    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError> {
        let engine = self.engine()?;
        let (shared, name) = (Arc::clone(&engine.shared), name.to_owned());
        blocking(move || {
            if let Some(poisoned) = shared.poisoned() {
                tracing::debug!(%poisoned, "a note was refused");
                return Err(ReadError::Poisoned(poisoned.to_string()));
            }
            shared.log.put_note(&name, &note).inspect_err(|error| shared.poison(error.to_string()))
        })
        .await
    }
}
