//! Reads of the whole log: page after page, the next ones read while the last are decoded.

use std::sync::{Arc, Weak};

use annalist_core::{Batches, Cursor, Direction, Position, RecordedEvent, StoreError};
use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::{
    format::{Damage, Page},
    limits,
    rocks::{ReadError, Tier},
    shared::{Shared, blocking, look_up},
};

/// Up to this many events a read of the log tries memory first; a longer one goes to the disk at once, and reads ahead.
const SHORT_READ_EVENTS: u64 = 64;

/// A read of the whole log.
pub(super) struct LogRead {
    shared: Weak<Shared>,
    bound: Position,
    direction: Direction,
    left: u64,
    head: Cursor,
    /// The pages behind those that are decoded now, being read meanwhile.
    ahead: Option<JoinHandle<Result<Vec<Page>, ReadError>>>,
}

impl LogRead {
    pub(super) const fn new(
        shared: Weak<Shared>,
        bound: Position,
        direction: Direction,
        limit: u64,
        head: Cursor,
    ) -> Self {
        Self { shared, bound, direction, left: limit, head, ahead: None }
    }
}

#[async_trait]
impl Batches for LogRead {
    fn head(&self) -> Cursor {
        self.head
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
        let (direction, bound, through, left) = (self.direction, self.bound, self.head.position, self.left);
        let fetch = move |shared: &Shared, tier| fetch_pages(shared, direction, bound, through, left, tier);
        let pages = if let Some(ahead) = self.ahead.take() {
            ahead.await.map_err(|_| StoreError::Closed)?.map_err(ReadError::into_store_error)?
        } else if left <= SHORT_READ_EVENTS {
            look_up(&shared, fetch).await?
        } else {
            let shared = Arc::clone(&shared);
            blocking(move || fetch(&shared, Tier::Disk)).await?
        };
        let records: u64 = pages.iter().map(Page::record_count).sum();
        if let Some(last) = pages.last().filter(|_| records < left) {
            let bound = match direction {
                Direction::Forward => last.last(),
                Direction::Backward => last.first(),
            };
            let left = left - records;
            if begins_within(direction, bound, through) {
                let ahead = move || fetch_pages(&shared, direction, bound, through, left, Tier::Disk);
                self.ahead = Some(tokio::task::spawn_blocking(ahead));
            }
        }
        let batch = decode(&pages, direction, bound, through, left).map_err(ReadError::into_store_error)?;
        self.left = left.saturating_sub(batch.events.len() as u64);
        if let Some(last) = batch.events.last() {
            self.bound = last.position;
        }
        if batch.damage.is_some() {
            // The next call reads from the damage on, and meets it at once.
            self.ahead = None;
        }
        Ok(batch.events)
    }
}

/// Whether a read from `bound` has anything to read.
fn begins_within(direction: Direction, bound: Position, through: Position) -> bool {
    match direction {
        Direction::Forward => bound < through,
        Direction::Backward => bound > Position::new(1) && through > Position::ZERO,
    }
}

/// The events behind (or before) `bound` up to `through`, about a batch of them.
pub(crate) fn fetch_log(
    shared: &Shared,
    direction: Direction,
    bound: Position,
    through: Position,
    limit: u64,
    tier: Tier,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let pages = fetch_pages(shared, direction, bound, through, limit, tier)?;
    Ok(decode(&pages, direction, bound, through, limit)?.events)
}

/// The pages with the events behind (or before) `bound` up to `through`: as many as hold `limit` events, or about a batch.
/// Those before one that cannot be read come first; the next fetch meets it at its beginning.
fn fetch_pages(
    shared: &Shared,
    direction: Direction,
    bound: Position,
    through: Position,
    limit: u64,
    tier: Tier,
) -> Result<Vec<Page>, ReadError> {
    let mut pages = Vec::new();
    if limit == 0 || !begins_within(direction, bound, through) {
        return Ok(pages);
    }
    let (mut bytes, mut records) = (0, 0);
    let from = match direction {
        Direction::Forward => bound.next(),
        Direction::Backward => bound.previous().min(through),
    };
    let read = shared.log.pages_from(from, direction, tier, |page| {
        bytes += page.byte_count();
        let more = match direction {
            Direction::Forward => {
                records += page.last().get().saturating_sub(from.max(page.first()).get().saturating_sub(1));
                page.last() < through
            }
            Direction::Backward => {
                records += (page.last().min(from).get() + 1).saturating_sub(page.first().get());
                page.first() > Position::new(1)
            }
        };
        pages.push(page);
        more && records < limit && bytes < limits::BATCH_BYTES
    });
    match read {
        Err(failure) if pages.is_empty() || matches!(failure, ReadError::NotInMemory) => Err(failure),
        _ => Ok(pages),
    }
}

/// What pages hold of the events behind (or before) `bound` up to `through`; an error if the first is damaged already.
fn decode(
    pages: &[Page],
    direction: Direction,
    bound: Position,
    through: Position,
    limit: u64,
) -> Result<Batch, ReadError> {
    let mut batch = Batch { events: Vec::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX), damage: None };
    let mut expected = None;
    for page in pages {
        let more = match direction {
            Direction::Forward => {
                let from = bound.next();
                let follows = *expected.get_or_insert(from) == page.first() || page.first() < from;
                expected = Some(page.last().next());
                let gap = (!follows).then_some(Err(missing(page.first())));
                batch.add(gap.into_iter().chain(page.records(from, through)))
            }
            Direction::Backward => {
                let to = bound.previous().min(through);
                let follows = *expected.get_or_insert(to) == page.last() || page.last() > to;
                expected = Some(page.first().previous());
                let gap = (!follows).then_some(Err(missing(page.last().next())));
                let mut records: Vec<_> = page.records(page.first(), to).collect();
                records.reverse();
                batch.add(gap.into_iter().chain(records))
            }
        };
        if !more {
            break;
        }
    }
    match batch.damage.take_if(|_| batch.events.is_empty()) {
        Some(damage) => Err(damage.into()),
        None => Ok(batch),
    }
}

fn missing(position: Position) -> Damage {
    Damage { position, detail: "pages are missing before this position" }
}

/// Collects events until there are enough, or one is damaged.
struct Batch {
    events: Vec<RecordedEvent>,
    limit: usize,
    damage: Option<Damage>,
}

impl Batch {
    /// Whether more are wanted.
    fn add(&mut self, records: impl Iterator<Item = Result<RecordedEvent, Damage>>) -> bool {
        for record in records {
            if self.events.len() >= self.limit {
                return false;
            }
            match record {
                Ok(record) => self.events.push(record),
                Err(damage) => {
                    self.damage = Some(damage);
                    return false;
                }
            }
        }
        self.events.len() < self.limit
    }
}
