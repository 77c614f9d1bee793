//! Finite reads.

use std::sync::{Arc, Weak};

use annalist_core::{
    Appended, Batches, Cursor, Direction, Outcome, Position, Read, RecordedEvent, Source, StoreError, StreamId,
    Timestamp, Version,
};
use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::{
    format::{Damage, KeyRow, Page},
    limits,
    rocks::{ReadError, Tier},
    shared::{Shared, blocking, look_up},
};

/// Up to this many events a read of the log tries memory first; a longer one goes to the disk at once, and reads ahead.
const SHORT_READ_EVENTS: u64 = 64;

/// Begins a read of the log as it is now.
pub(crate) fn begin(shared: &Arc<Shared>, read: Read) -> Result<Box<dyn Batches>, StoreError> {
    let through = shared.watermark();
    let head = shared.cursor(through);
    let Read { source, direction, limit, .. } = read;
    let shared = Arc::downgrade(shared);
    Ok(match source {
        Source::All { bound } => Box::new(LogRead { shared, bound, direction, left: limit, head, ahead: None }),
        Source::Stream { stream, bound } => {
            Box::new(StreamRead { shared, stream, bound, direction, left: limit, head })
        }
        _ => Box::new(Nothing { head }),
    })
}

/// A source that this version does not know has no events here; none exists so far.
struct Nothing {
    head: Cursor,
}

#[async_trait]
impl Batches for Nothing {
    fn head(&self) -> Cursor {
        self.head
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(Vec::new())
    }
}

/// A read of the whole log.
struct LogRead {
    shared: Weak<Shared>,
    bound: Position,
    direction: Direction,
    left: u64,
    head: Cursor,
    /// The pages behind those that are decoded now, being read meanwhile.
    ahead: Option<JoinHandle<Result<Vec<Page>, ReadError>>>,
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

/// A read of one stream.
struct StreamRead {
    shared: Weak<Shared>,
    stream: StreamId,
    bound: Version,
    direction: Direction,
    left: u64,
    head: Cursor,
}

#[async_trait]
impl Batches for StreamRead {
    fn head(&self) -> Cursor {
        self.head
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        if self.left == 0 {
            return Ok(Vec::new());
        }
        let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
        let (stream, bound, direction, through) = (self.stream.clone(), self.bound, self.direction, self.head.position);
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(limits::BATCH_STREAM_EVENTS);
        let fetch = move |shared: &Shared, tier| {
            fetch_stream(shared, stream.as_str(), direction, bound, (through, limit), tier)
        };
        let batch = look_up(&shared, fetch).await?;
        // Fewer than asked for: the stream as it was when the read began has no more.
        self.left = if batch.len() < limit { 0 } else { self.left.saturating_sub(batch.len() as u64) };
        if let Some(last) = batch.last() {
            self.bound = last.version;
        }
        Ok(batch)
    }
}

fn fetch_stream(
    shared: &Shared,
    stream: &str,
    direction: Direction,
    bound: Version,
    (through, limit): (Position, usize),
    tier: Tier,
) -> Result<Vec<RecordedEvent>, ReadError> {
    // The view may be newer than the read: its mark may lie behind `through`. Rows are whole runs, so the run is cut here.
    let (_, view) = shared.durable_view();
    let range = match direction {
        Direction::Forward => (bound.next(), Version::MAX),
        Direction::Backward => {
            let head = view.head(&shared.index, stream, through, tier)?;
            let last = bound.previous().min(head);
            (Version::new(last.get().saturating_sub(limit as u64) + 1), last)
        }
    };
    let mut places = view.places(&shared.index, stream, range, (through, limit), tier)?;
    places.retain(|(_, position, _)| *position <= through);
    if direction == Direction::Backward {
        places.reverse();
    }
    let mut events = Vec::with_capacity(places.len());
    let mut page: Option<Page> = None;
    for (version, position, slot) in places {
        let first = page_of(position, slot)?;
        let page = match page.take().filter(|page| page.first() == first) {
            Some(same) => page.insert(same),
            None => page.insert(shared.page(first, tier)?),
        };
        let record = page.record(position)?;
        if record.version != version || record.stream() != stream {
            return Err(Damage { position, detail: "the index and the log disagree; delete the index folder" }.into());
        }
        events.push(record);
    }
    Ok(events)
}

/// The key of the page in which the event at `position` has this slot.
fn page_of(position: Position, slot: u32) -> Result<Position, Damage> {
    let first = position.get().checked_sub(u64::from(slot)).filter(|first| *first > 0);
    first
        .map(Position::new)
        .ok_or(Damage { position, detail: "the index and the log disagree; delete the index folder" })
}

/// The last position whose event was recorded before `time`. Time never goes backwards in the log, so the pages are
/// searched by halves: about twenty of them in a log of ten million events.
pub(crate) fn position_before(shared: &Shared, time: Timestamp) -> Result<Position, ReadError> {
    let (mut before, mut behind) = (Position::ZERO, shared.watermark().next());
    // Everything up to `before` is earlier, everything from `behind` on is not.
    while before.next() < behind {
        let middle = Position::new(before.get() + (behind.get() - before.get()) / 2);
        let page = shared.log.page_with(middle)?;
        for record in page.records(page.first(), page.last().min(behind.previous())) {
            let record = record?;
            if record.time < time {
                before = before.max(record.position);
            } else {
                behind = behind.min(record.position);
                break;
            }
        }
    }
    Ok(before)
}

/// Reads what was recorded with a key.
pub(crate) fn fetch_outcome(shared: &Shared, row: KeyRow, tier: Tier) -> Result<Outcome, ReadError> {
    let mut page = shared.page(page_of(row.first, row.slot)?, tier)?;
    let frame = page.frame_before(row.first)?;
    let keyed = frame.keyed.filter(|keyed| keyed.fingerprint == row.fingerprint);
    let keyed = keyed
        .ok_or(Damage { position: row.first, detail: "the index and the log disagree; delete the index folder" })?;
    let mut streams: Vec<(StreamId, Version)> = Vec::new();
    loop {
        for record in page.records(row.first, row.last()) {
            let record = record?;
            match streams.iter_mut().find(|(stream, _)| stream.as_str() == record.stream()) {
                Some((_, version)) => *version = record.version,
                None => streams.push((record.stream_id(), record.version)),
            }
        }
        if page.last() >= row.last() {
            break;
        }
        page = shared.page(page.last().next(), tier)?;
    }
    let appended = Appended { after: row.first.previous(), cursor: shared.cursor(row.last()), streams, repeated: true };
    Ok(Outcome { fingerprint: row.fingerprint, reply: keyed.reply, appended })
}
