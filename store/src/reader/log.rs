//! Reads of the whole log: stretch after stretch, the next ones read and decoded while the last is looked at.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use annalist_core::{Batches, Cursor, Direction, Position, RecordedEvent, StoreError};
use async_trait::async_trait;

use crate::{
    concurrency::task,
    format::{Damage, Page},
    limits,
    rocks::{ReadError, Tier},
    shared::{Shared, look_up},
};

/// Up to this many events a read of the log tries memory first; a longer one goes to the disk at once, and reads ahead.
const SHORT_READ_EVENTS: u64 = 64;
/// Events of the first stretch of a read, when nothing is known of their size.
const FIRST_STRETCH_EVENTS: u64 = 512;
const STRETCH_EVENTS_MIN: u64 = 16;
const STRETCH_EVENTS_MAX: u64 = 16 * 1024;

/// Positions from the first to the last; never empty.
type Stretch = (Position, Position);

/// A read of the whole log.
pub(super) struct LogRead {
    shared: Weak<Shared>,
    direction: Direction,
    head: Cursor,
    /// What is being read, in order of the direction.
    ahead: VecDeque<Ahead>,
    /// What is still to be read behind that.
    rest: Option<Stretch>,
    /// Events that make about a batch, going by the last one.
    stretch_events: u64,
}

struct Ahead {
    stretch: Stretch,
    /// `None` when it has to be begun again.
    read: Option<task::JoinHandle<Result<Batch, ReadError>>>,
}

impl LogRead {
    pub(super) fn new(shared: Weak<Shared>, bound: Position, direction: Direction, limit: u64, head: Cursor) -> Self {
        let (first, last) = match direction {
            Direction::Forward => (bound.next(), Position::new(bound.get().saturating_add(limit)).min(head.position)),
            Direction::Backward => {
                let last = bound.previous().min(head.position);
                (Position::new(last.get().saturating_sub(limit) + 1), last)
            }
        };
        let rest = (limit > 0 && first <= last).then_some((first, last));
        Self { shared, direction, head, ahead: VecDeque::new(), rest, stretch_events: FIRST_STRETCH_EVENTS }
    }

    /// Begins to read what comes next, until enough is under way.
    fn read_ahead(&mut self, shared: &Arc<Shared>) {
        while self.ahead.len() < limits::BATCHES_AHEAD
            && let Some(rest) = self.rest
        {
            let (stretch, rest) = split(rest, self.direction, self.stretch_events);
            self.rest = rest;
            self.ahead.push_back(Ahead { stretch, read: None });
        }
        for ahead in &mut self.ahead {
            let (shared, direction, stretch) = (Arc::clone(shared), self.direction, ahead.stretch);
            ahead
                .read
                .get_or_insert_with(|| task::spawn_blocking(move || fetch(&shared, direction, stretch, Tier::Disk)));
        }
    }

    /// Takes note of what came of a stretch, and gives its events.
    fn take(&mut self, stretch: Stretch, batch: Result<Batch, StoreError>) -> Result<Vec<RecordedEvent>, StoreError> {
        let left = match &batch {
            Ok(batch) => {
                let events = batch.events.len() as u64;
                let fitting = events.saturating_mul(limits::BATCH_BYTES as u64) / (batch.bytes as u64).max(1);
                self.stretch_events = fitting.clamp(STRETCH_EVENTS_MIN, STRETCH_EVENTS_MAX);
                split(stretch, self.direction, events).1
            }
            // The next call meets it again.
            Err(_) => Some(stretch),
        };
        if let Some(stretch) = left {
            self.ahead.push_front(Ahead { stretch, read: None });
        }
        batch.map(|batch| batch.events)
    }
}

#[async_trait]
impl Batches for LogRead {
    fn head(&self) -> Cursor {
        self.head
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
        let direction = self.direction;
        // A stretch is given up only when its events are here: a caller may stop waiting and ask again.
        if self.ahead.is_empty()
            && let Some(stretch) = self.rest.filter(|(first, last)| last.get() - first.get() < SHORT_READ_EVENTS)
        {
            let batch = look_up(&shared, move |shared, tier| fetch(shared, direction, stretch, tier)).await;
            self.rest = None;
            return self.take(stretch, batch);
        }
        self.read_ahead(&shared);
        let Some(Ahead { stretch, read: Some(read) }) = self.ahead.front_mut() else { return Ok(Vec::new()) };
        let (stretch, read) = (*stretch, read.await);
        self.ahead.pop_front();
        let batch = read.map_err(|_| StoreError::Closed).and_then(|read| read.map_err(ReadError::into_store_error));
        self.take(stretch, batch)
    }
}

/// The first so many positions of a stretch in order of the direction, and the others.
fn split((first, last): Stretch, direction: Direction, count: u64) -> (Stretch, Option<Stretch>) {
    if last.get() - first.get() < count {
        return ((first, last), None);
    }
    match direction {
        Direction::Forward => {
            let border = Position::new(first.get() + count - 1);
            ((first, border), Some((border.next(), last)))
        }
        Direction::Backward => {
            let border = Position::new(last.get() - count + 1);
            ((border, last), Some((first, border.previous())))
        }
    }
}

/// The events behind `after` up to `through`, which lies behind it: about a batch of them, at least one.
pub(crate) fn fetch_log(shared: &Shared, after: Position, through: Position) -> Result<Vec<RecordedEvent>, ReadError> {
    Ok(fetch(shared, Direction::Forward, (after.next(), through), Tier::Disk)?.events)
}

/// The first events of a stretch in order of the direction, about a batch of them, at least one. Those before damage come by themselves; the
/// next fetch meets it at its beginning, and fails.
fn fetch(shared: &Shared, direction: Direction, (first, last): Stretch, tier: Tier) -> Result<Batch, ReadError> {
    let (from, to) = match direction {
        Direction::Forward => (first, last),
        Direction::Backward => (last, first),
    };
    let mut batch = Batch { direction, next: from, end: to, events: Vec::new(), bytes: 0, damage: None };
    let read = shared.pages_from(from, direction, tier, |page| {
        batch.add(&page);
        batch.damage.is_none() && !batch.is_complete() && batch.bytes < limits::BATCH_BYTES
    });
    match read {
        Err(failure) if batch.events.is_empty() || matches!(failure, ReadError::NotInMemory) => return Err(failure),
        _ => {}
    }
    if batch.events.is_empty() {
        return Err(batch.damage.unwrap_or(missing(from)).into());
    }
    Ok(batch)
}

fn missing(position: Position) -> Damage {
    Damage { position, detail: "pages of the log are missing here" }
}

/// Collects the events of a stretch, page by page, until one is damaged.
struct Batch {
    direction: Direction,
    /// The position that comes next, and the one that comes last.
    next: Position,
    end: Position,
    events: Vec<RecordedEvent>,
    bytes: usize,
    damage: Option<Damage>,
}

impl Batch {
    fn is_complete(&self) -> bool {
        self.events.last().is_some_and(|event| event.position == self.end)
    }

    fn add(&mut self, page: &Page) {
        self.bytes += page.byte_count();
        if !(page.first()..=page.last()).contains(&self.next) {
            self.damage = Some(missing(self.next));
            return;
        }
        let begin = self.events.len();
        match self.direction {
            Direction::Forward => self.damage = page.collect(self.next, self.end, &mut self.events).err(),
            Direction::Backward => {
                let mut from = self.end.max(page.first());
                while let Err(damage) = page.collect(from, self.next, &mut self.events) {
                    // What stands behind the damage comes first here.
                    self.events.truncate(begin);
                    from = from.max(damage.position).next();
                    self.damage = Some(damage);
                }
                self.events.get_mut(begin..).unwrap_or_default().reverse();
            }
        }
        if let Some(last) = self.events.last() {
            self.next = match self.direction {
                Direction::Forward => last.position.next(),
                Direction::Backward => last.position.previous(),
            };
        }
    }
}
