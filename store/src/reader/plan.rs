//! What is to be read of which pages, and what was read of it.

use std::ops::Range;

use annalist_core::{Position, RecordedEvent, StoreError};

use crate::{
    concurrency::Instant,
    format::{Damage, Place, pick_records},
    limits,
    rocks::{ReadError, Tier},
    shared::Shared,
};

/// How many bytes an event has, going by those that were read before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight(usize);

impl Weight {
    /// Of the events of a store, when nothing is known of those that are read.
    pub(crate) fn of(shared: &Shared) -> Self {
        let (last, totals) = shared.durable_totals();
        let bytes = totals.event_bytes.checked_div(last.get()).unwrap_or(0);
        Self::new(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes.max(1))
    }

    /// How many events make so many bytes, at least one.
    const fn fitting(self, bytes: usize) -> usize {
        let events = bytes / self.0;
        if events == 0 { 1 } else { events }
    }

    /// How many events of those that are left are worth looking up for one batch. When it was taken for larger than they are, the next
    /// batch knows better.
    pub(super) fn batch_events(self, left: u64) -> usize {
        let fitting = self.fitting(limits::BATCH_LIST_BYTES);
        let fitting = fitting.clamp(limits::BATCH_LIST_EVENTS_MIN, limits::BATCH_LIST_EVENTS);
        usize::try_from(left).unwrap_or(usize::MAX).min(fitting)
    }
}

/// What was read, page after page, until there is enough of it.
pub(super) struct Part {
    pub(super) events: Vec<RecordedEvent>,
    bytes: usize,
    bytes_max: usize,
    /// What events weighed before there were these.
    guess: Weight,
    /// The page that comes next.
    pub(super) next: usize,
    pub(super) failed: Option<ReadError>,
}

impl Part {
    /// Nothing yet, from a page on: so many bytes, and what exceeds them of the last page.
    pub(super) const fn new(next: usize, bytes_max: usize, guess: Weight) -> Self {
        Self { events: Vec::new(), bytes: 0, bytes_max, guess, next, failed: None }
    }

    /// Nothing yet, of what comes behind this: no more than this one may have.
    pub(super) fn behind(&self) -> Self {
        Self::new(self.next, self.left(), self.weight())
    }

    /// What one of many threads reads at the same time, from a page on. A share may have twice as much as is its, so that pages which
    /// are not all alike leave no gap.
    pub(super) fn share(&self, next: usize) -> Self {
        Self::new(next, (2 * self.left()).div_ceil(limits::FETCHES_TOGETHER), self.weight())
    }

    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }

    const fn left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes)
    }

    pub(super) fn weight(&self) -> Weight {
        self.bytes.checked_div(self.events.len()).map_or(self.guess, Weight::new)
    }

    /// Adds what comes next, and fails if that did.
    pub(super) fn add(&mut self, mut part: Self) -> Result<(), StoreError> {
        self.events.append(&mut part.events);
        self.bytes += part.bytes;
        self.next = part.next;
        part.failed.map_or(Ok(()), |error| Err(error.into_store_error()))
    }

    fn page_was_added(&mut self, begin: usize) {
        let added = self.events.get(begin..).unwrap_or_default();
        self.bytes += added.iter().map(RecordedEvent::body_bytes).sum::<usize>();
        self.next += 1;
    }
}

/// What is to be read, page by page.
pub(super) struct Plan {
    /// Ascending within each page.
    positions: Vec<Position>,
    /// The key of each page, and which of the positions lie in it.
    pages: Vec<(Position, Range<usize>)>,
    is_descending: bool,
}

impl Plan {
    pub(super) fn new(places: &[Place]) -> Result<Self, Damage> {
        let mut positions: Vec<Position> = places.iter().map(|(position, _)| *position).collect();
        let mut pages: Vec<(Position, Range<usize>)> = Vec::with_capacity(places.len());
        for (at, (position, slot)) in places.iter().enumerate() {
            let first = page_of(*position, *slot)?;
            match pages.last_mut().filter(|(page, _)| *page == first) {
                Some((_, range)) => range.end = at + 1,
                None => pages.push((first, at..at + 1)),
            }
        }
        let is_descending = positions.first() > positions.last();
        if is_descending {
            for (_, range) in &pages {
                positions.get_mut(range.clone()).unwrap_or_default().reverse();
            }
        }
        Ok(Self { positions, pages, is_descending })
    }

    /// How many pages it has.
    pub(super) const fn end(&self) -> usize {
        self.pages.len()
    }

    /// The page behind those that are likely to fit into a part; it is behind the next one.
    pub(super) fn fitting(&self, part: &Part) -> usize {
        let events = part.weight().fitting(part.left());
        let rest = self.pages.get(part.next..).unwrap_or_default();
        let begin = rest.first().map_or(0, |(_, range)| range.start);
        part.next + rest.partition_point(|(_, range)| range.start < begin + events)
    }

    /// Adds what is in memory up to the first page that is not, or for as long as a caller may be kept.
    pub(super) fn read_memory(&self, shared: &Shared, began: Instant, part: &mut Part) -> Result<(), ReadError> {
        while part.next < self.end() && !part.is_full() && began.elapsed() < limits::INLINE_READ_MAX {
            match self.read_tier(shared, Tier::Memory, part.next + 1, part) {
                Err(ReadError::NotInMemory) => break,
                read => read?,
            }
        }
        Ok(())
    }

    /// Adds what is wanted of the pages up to that before `to`, in the order in which it was asked for, until the part is full.
    pub(super) fn read(&self, shared: &Shared, to: usize, part: &mut Part) -> Result<(), ReadError> {
        self.read_tier(shared, Tier::Disk, to, part)
    }

    fn read_tier(&self, shared: &Shared, tier: Tier, to: usize, part: &mut Part) -> Result<(), ReadError> {
        let pages = self.pages.get(part.next..to).unwrap_or_default();
        let firsts: Vec<Position> = pages.iter().map(|(first, _)| *first).collect();
        shared.look_at_pages(&firsts, tier, |at, bytes| {
            let Some((first, range)) = pages.get(at).filter(|_| !part.is_full()) else { return Ok(()) };
            let (positions, begin) = (self.positions.get(range.clone()).unwrap_or_default(), part.events.len());
            match pick_records(bytes, *first, positions, &mut part.events) {
                // Those before the damaged one come behind it here.
                Err(_) if self.is_descending => {
                    part.events.truncate(begin);
                    let mut pick = |position: &Position| pick_records(bytes, *first, &[*position], &mut part.events);
                    positions.iter().rev().try_for_each(&mut pick)?;
                }
                picked => picked?,
            }
            if self.is_descending {
                part.events.get_mut(begin..).unwrap_or_default().reverse();
            }
            part.page_was_added(begin);
            Ok(())
        })
    }
}

/// The key of the page in which the event at `position` has this slot.
pub(super) fn page_of(position: Position, slot: u32) -> Result<Position, Damage> {
    let first = position.get().checked_sub(u64::from(slot)).filter(|first| *first > 0);
    first.map(Position::new).ok_or_else(|| disagreement(position))
}

pub(super) const fn disagreement(position: Position) -> Damage {
    Damage { position, detail: "the index and the log disagree; delete the index folder" }
}
