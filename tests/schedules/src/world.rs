//! A store on a disk in memory, and what its clients note of it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use annalist_core::{
    Append, AppendError, Appended, Cursor, Direction, EventId, EventStore as _, EventType, Fingerprint, Key, NewEvent,
    Position, Query, Read, RecordedEvent, Source, StreamId, Tag, Version,
};
use shuttle::future::{JoinHandle, block_on, spawn};
use uuid::Uuid;

use crate::{
    audit,
    census::{self, Kind},
    concurrency::happens_once_in,
    following::Following,
    options::StoreOptions,
    recovery,
    rocks::{Disk, Faults},
    store::Store,
};

/// An append, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) append: Append,
    /// Up to where the log was known to somebody when this was asked.
    pub(crate) known: Position,
    /// `None`: nobody waited for it.
    pub(crate) answer: Option<Result<Appended, AppendError>>,
    /// Up to where the log was durable when this was answered.
    pub(crate) durable: Position,
}

/// What a read has shown.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) read: Read,
    pub(crate) head: Position,
    pub(crate) events: Vec<RecordedEvent>,
}

/// What is noted.
pub(crate) struct Ledger {
    pub(crate) disk: Disk,
    pub(crate) faults: Faults,
    calls: Mutex<Vec<Call>>,
    seen: Mutex<Vec<Seen>>,
    held: Mutex<Vec<(Position, u64)>>,
    known: AtomicU64,
    next_event: AtomicU64,
    is_closing: AtomicBool,
}

impl Ledger {
    pub(crate) fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("nobody panics with it")
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("nobody panics with it")
    }

    /// How many streams there were, by what head.
    pub(crate) fn held(&self) -> MutexGuard<'_, Vec<(Position, u64)>> {
        self.held.lock().expect("nobody panics with it")
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst)
    }

    /// Somebody was told of it.
    fn learn(&self, position: Position) {
        self.known.fetch_max(position.get(), Ordering::SeqCst);
    }
}

/// The store, and its ledger. Cloning shares both; the store ends with the last one.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) ledger: Arc<Ledger>,
}

impl World {
    /// A new store whose index takes chunks of so many events.
    pub(crate) fn new(chunk_events: usize, faults: Faults) -> Self {
        let disk = Disk::new(faults);
        let options = StoreOptions { index_chunk_events: chunk_events, ..StoreOptions::default() };
        recovery::name_disk(&disk);
        let store = Store::open_with("/", options).expect("a new store opens");
        let ledger = Ledger {
            disk,
            faults,
            calls: Mutex::default(),
            seen: Mutex::default(),
            held: Mutex::default(),
            known: AtomicU64::new(0),
            next_event: AtomicU64::new(1),
            is_closing: AtomicBool::new(false),
        };
        Self { store, ledger: Arc::new(ledger) }
    }

    /// Another event, with a large payload or a small one.
    pub(crate) fn event(&self, tags: &[&str], is_large: bool) -> NewEvent {
        let id = self.ledger.next_event.fetch_add(1, Ordering::SeqCst);
        let payload = vec![b'x'; if is_large { 300 } else { 8 }];
        let event_type = EventType::new("happened").expect("it is a name");
        NewEvent::new(EventId::new(Uuid::from_u128(id.into())), event_type, payload)
            .with_tags(tags.iter().map(|name| tag(name)))
    }

    /// Up to where the log is known to somebody.
    pub(crate) fn known(&self) -> Position {
        Position::new(self.ledger.known.load(Ordering::SeqCst))
    }

    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let known = self.known();
        let answer = self.store.append(append.clone()).await;
        let durable = self.ledger.disk.durable();
        census::note_answer(&answer);
        if let Ok(appended) = &answer {
            self.ledger.learn(appended.cursor.position);
        }
        self.ledger.calls().push(Call { append, known, answer: Some(answer.clone()), durable });
        answer
    }

    /// Asks for an append, and does not wait for long.
    pub(crate) async fn abandon(&self, append: Append) {
        let mut asked = pin!(self.store.append(append.clone()));
        let known = self.known();
        let answer = poll_fn(|context| match asked.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if happens_once_in(3) => Poll::Ready(None),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        let durable = self.ledger.disk.durable();
        if answer.is_none() {
            census::note(Kind::Abandoned);
        }
        self.ledger.calls().push(Call { append, known, answer, durable });
    }

    /// Reads all that it gives, and what was known before must be among it.
    pub(crate) async fn read(&self, read: Read) -> Vec<RecordedEvent> {
        let known = self.known();
        let mut batches = self.store.read(read.clone()).await.expect("a read begins");
        let head = batches.head().position;
        assert!(known <= head, "a read begins at {head} when {known} was known");
        assert!(head <= self.ledger.disk.durable(), "a read shows {head}, which is not durable");
        self.ledger.learn(head);
        if self.ledger.disk.is_indexed() {
            census::note(Kind::AcrossTheMark);
        }
        let mut events = Vec::new();
        loop {
            let batch = batches.next().await.expect("it can be read");
            if batch.is_empty() {
                break;
            }
            events.extend(batch);
        }
        self.ledger.seen().push(Seen { read, head, events: events.clone() });
        events
    }

    /// Follows a query until so many events have come; whoever gets the rest waits for the end of the store.
    pub(crate) async fn follow(&self, query: Query, count: usize) -> Following {
        let subscription = self.store.subscribe(query.clone(), Cursor::START).await.expect("a subscription begins");
        let mut following = Following::new(Arc::clone(&self.ledger), subscription, query);
        let mut seen = 0;
        while seen < count {
            seen += following.next().await.expect("the store is open");
        }
        following
    }

    /// When these tasks are over: reads everything, closes the store, which ends the other tasks, and judges all of it.
    pub(crate) fn finish(self, tasks: Vec<JoinHandle<()>>, others: Vec<JoinHandle<()>>) {
        block_on(async {
            for task in tasks {
                task.await.expect("a task comes to its end");
            }
            for read in everything() {
                self.read(read).await;
            }
            self.statistics().await;
            self.close().await;
            for task in others {
                task.await.expect("a task comes to its end");
            }
        });
        let ledger = Arc::clone(&self.ledger);
        drop(self);
        audit::judge(&ledger);
    }

    /// Asks what the store holds.
    pub(crate) async fn statistics(&self) {
        let known = self.known();
        let held = self.store.statistics().await.expect("it can be told");
        let head = held.head.position;
        assert!(known <= head && head <= self.ledger.disk.durable(), "it holds {head}, and {known} was known");
        self.ledger.learn(head);
        self.ledger.held().push((head, held.streams));
    }

    pub(crate) async fn close(&self) {
        self.ledger.is_closing.store(true, Ordering::SeqCst);
        self.store.close().await.expect("the store closes");
    }
}

/// A task of a client.
pub(crate) fn client<F: Future<Output = ()> + Send + 'static>(
    world: &World,
    work: impl FnOnce(World) -> F,
) -> JoinHandle<()> {
    spawn(work(world.clone()))
}

/// Reads of the whole log, by each way to it.
pub(crate) fn everything() -> [Read; 6] {
    let query = || Query::tags([tag("x")]);
    [
        Read::all(Position::ZERO),
        Read::all_backward(Position::MAX),
        Read::stream(stream("a-1"), Version::ZERO),
        Read::stream_backward(stream("a-1"), Version::MAX),
        Read::query(query(), Position::ZERO),
        Read::query_backward(query(), Position::MAX),
    ]
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("it is a name")
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::new(name).expect("it is a name")
}

pub(crate) fn key(id: &str) -> (Key, Fingerprint) {
    (Key::new("client", id).expect("it is a name"), Fingerprint::new([7; 16]))
}

/// Whether a read is to show an event that it is early enough for.
pub(crate) fn is_of(read: &Read, event: &RecordedEvent) -> bool {
    match &read.source {
        Source::Stream { stream, .. } => event.stream() == stream.as_str(),
        Source::Query { query, .. } => query.matches(event),
        _ => true,
    }
}

/// Whether its events come newest first.
pub(crate) fn is_backward(read: &Read) -> bool {
    read.direction == Direction::Backward
}
