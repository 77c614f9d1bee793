//! A consumer in memory, for tests and for trying things out.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    consumer::{Answer, ConsumeError, Consumer, Delivered, Terms},
    dead::{DeadLetter, DeadLetters, Death},
    message::{Incoming, Malformed},
};
use crate::outbox::MemoryPublisher;

/// What one inbox gets to see, kept in memory. Clones share it: one is for the inbox, another for the test that sends, kills
/// and looks at [dead letters](DeadLetters).
#[derive(Clone, Default)]
pub struct MemoryConsumer {
    shared: Arc<Shared>,
    /// Whose messages are delivered, and as whose.
    publisher: Option<(MemoryPublisher, String)>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Queue {
    inbox: &'static str,
    in_flight_max: usize,
    entries: Vec<Entry>,
    /// All entries before this one are done.
    first: usize,
    /// Counts connects: answers to what was delivered before are of no use.
    session: u64,
    /// How many messages were taken from the publisher.
    taken: usize,
    dead: BTreeMap<u64, DeadLetter>,
    buried: u64,
    down: bool,
}

struct Entry {
    message: Result<Incoming, Malformed>,
    state: State,
    deliveries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be delivered, from then on.
    Ready(Instant),
    Delivered,
    Done,
}

impl MemoryConsumer {
    /// A consumer of what is sent by hand.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A consumer of everything that the publisher's broker holds and will hold, with `source` as the sender.
    #[must_use]
    pub fn of(publisher: &MemoryPublisher, source: impl Into<String>) -> Self {
        Self { publisher: Some((publisher.clone(), source.into())), ..Self::default() }
    }

    /// Sends a message.
    pub fn send(&self, message: Incoming) {
        self.push(Ok(message));
    }

    /// Sends a message with a JSON payload.
    pub fn send_json(&self, id: &str, source: &str, event_type: &str, subject: &str, data: impl Into<String>) {
        let mut message = Incoming::new(id, source, event_type);
        message.subject = Some(subject.to_owned());
        message.content_type = Some("application/json".to_owned());
        message.data = data.into().into();
        self.send(message);
    }

    /// Delivers something that is not a message.
    pub fn send_malformed(&self, malformed: Malformed) {
        self.push(Err(malformed));
    }

    /// The broker cannot be reached from now on.
    pub fn go_down(&self) {
        self.queue().down = true;
        self.shared.news.send_replace(());
    }

    /// The broker can be reached again.
    pub fn come_up(&self) {
        self.queue().down = false;
    }

    fn push(&self, message: Result<Incoming, Malformed>) {
        self.queue().push(message);
        self.shared.news.send_replace(());
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is new at the publisher, then the first message that may be delivered; otherwise says when to look again.
    fn take(&self) -> Result<Result<Delivered, Option<Instant>>, ConsumeError> {
        let mut queue = self.queue();
        if let Some((publisher, source)) = &self.publisher {
            for message in publisher.messages_from(queue.taken) {
                queue.taken += 1;
                queue.push(Ok(Incoming::from_message(&message, source)));
            }
        }
        if queue.down {
            return Err(unreachable());
        }
        let Some(index) = queue.next(Instant::now()) else { return Ok(Err(queue.next_ready())) };
        let session = queue.session;
        let behind = queue.waiting().saturating_sub(1);
        let Some(entry) = queue.entries.get_mut(index) else { return Ok(Err(None)) };
        (entry.state, entry.deliveries) = (State::Delivered, entry.deliveries.saturating_add(1));
        let (message, deliveries) = (entry.message.clone(), entry.deliveries);
        let answer = Box::new(MemoryAnswer { shared: Arc::clone(&self.shared), index, session });
        let sequence = u64::try_from(index + 1).ok();
        Ok(Ok(Delivered { message, deliveries, behind, sequence, answer }))
    }
}

impl Queue {
    fn push(&mut self, message: Result<Incoming, Malformed>) {
        self.entries.push(Entry { message, state: State::Ready(Instant::now()), deliveries: 0 });
    }

    fn open(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().skip(self.first)
    }

    fn next(&self, now: Instant) -> Option<usize> {
        let unanswered = self.open().filter(|(_, entry)| entry.state == State::Delivered).count();
        let ready = |entry: &Entry| matches!(entry.state, State::Ready(at) if at <= now);
        let found = self.open().find(|(_, entry)| ready(entry)).map(|(index, _)| index);
        found.filter(|_| unanswered < self.in_flight_max)
    }

    fn next_ready(&self) -> Option<Instant> {
        let at = |entry: &Entry| if let State::Ready(at) = entry.state { Some(at) } else { None };
        self.open().filter_map(|(_, entry)| at(entry)).filter(|at| *at > Instant::now()).min()
    }

    fn waiting(&self) -> u64 {
        let waiting = self.open().filter(|(_, entry)| matches!(entry.state, State::Ready(_))).count();
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }

    /// Sets what an answer says, if it is to this session's delivery.
    fn answer(&mut self, session: u64, index: usize, state: State) -> Result<(), ConsumeError> {
        if self.down {
            return Err(unreachable());
        }
        let current = self.session == session;
        if let Some(entry) = self.entries.get_mut(index).filter(|entry| current && entry.state == State::Delivered) {
            entry.state = state;
        }
        while self.entries.get(self.first).is_some_and(|entry| entry.state == State::Done) {
            self.first += 1;
        }
        Ok(())
    }

    fn bury(&mut self, index: usize, death: &Death) {
        let Some(entry) = self.entries.get(index) else { return };
        let (inbox, message) = (self.inbox.to_owned(), entry.message.clone());
        let origin = format!("memory {}", index + 1);
        if self.dead.values().any(|letter| letter.origin == origin) {
            return;
        }
        self.buried += 1;
        let letter = DeadLetter { number: self.buried, inbox, death: death.clone(), origin, message };
        self.dead.insert(self.buried, letter);
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn connect(&mut self, terms: &Terms) -> Result<(), ConsumeError> {
        let mut queue = self.queue();
        if queue.down {
            return Err(unreachable());
        }
        (queue.inbox, queue.in_flight_max) = (terms.inbox, terms.in_flight_max);
        queue.session += 1;
        let (first, now) = (queue.first, Instant::now());
        let from = terms.from.and_then(|from| usize::try_from(from.saturating_sub(1)).ok());
        let from = from.unwrap_or(usize::MAX);
        queue.first = first.min(from);
        for (index, entry) in queue.entries.iter_mut().enumerate() {
            if index >= from || entry.state != State::Done {
                entry.state = State::Ready(now);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Delivered, ConsumeError> {
        let mut news = self.shared.news.subscribe();
        let mut published = self.publisher.as_ref().map(|(publisher, _)| publisher.news());
        loop {
            let at = match self.take()? {
                Ok(delivered) => return Ok(delivered),
                Err(at) => at,
            };
            let publication = async {
                match &mut published {
                    Some(published) => _ = published.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = news.changed() => {}
                () = publication => {}
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {}
            }
        }
    }

    async fn close(&mut self) {}
}

struct MemoryAnswer {
    shared: Arc<Shared>,
    index: usize,
    session: u64,
}

impl MemoryAnswer {
    fn set(&self, state: State) -> Result<(), ConsumeError> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = queue.answer(self.session, self.index, state);
        drop(queue);
        self.shared.news.send_replace(());
        answered
    }
}

#[async_trait]
impl Answer for MemoryAnswer {
    async fn ack(&self) -> Result<(), ConsumeError> {
        self.set(State::Done)
    }

    async fn nak(&self, delay: Duration) -> Result<(), ConsumeError> {
        self.set(State::Ready(Instant::now() + delay))
    }

    async fn working(&self) -> Result<(), ConsumeError> {
        Ok(())
    }

    async fn dead(&self, death: &Death) -> Result<(), ConsumeError> {
        self.set(State::Done)?;
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).bury(self.index, death);
        Ok(())
    }
}

#[async_trait]
impl DeadLetters for MemoryConsumer {
    async fn list(&self, after: u64, limit: usize) -> Result<Vec<DeadLetter>, ConsumeError> {
        Ok(self.queue().dead.range(after.saturating_add(1)..).take(limit).map(|(_, letter)| letter.clone()).collect())
    }

    async fn get(&self, number: u64) -> Result<Option<DeadLetter>, ConsumeError> {
        Ok(self.queue().dead.get(&number).cloned())
    }

    async fn replay(&self, number: u64) -> Result<bool, ConsumeError> {
        let letter = self.queue().dead.remove(&number);
        let found = letter.is_some();
        if let Some(letter) = letter {
            self.push(letter.message);
        }
        Ok(found)
    }

    async fn discard(&self, number: u64) -> Result<bool, ConsumeError> {
        Ok(self.queue().dead.remove(&number).is_some())
    }
}

impl fmt::Debug for MemoryConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        f.debug_struct("MemoryConsumer")
            .field("messages", &queue.entries.len())
            .field("dead", &queue.dead.len())
            .finish_non_exhaustive()
    }
}

fn unreachable() -> ConsumeError {
    ConsumeError::Unavailable { detail: "the broker in memory is down".to_owned() }
}
