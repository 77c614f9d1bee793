//! Reading events of which it is known where they stand.

use std::{ops::Range, sync::Arc};

use annalist_core::{Position, RecordedEvent, StoreError};

use crate::{
    concurrency::{Instant, task},
    format::{Damage, Place, pick_records},
    limits,
    rocks::{ReadError, Tier},
    shared::Shared,
};

/// Events that were read, and why not all were.
#[derive(Default)]
pub(crate) struct Fetched {
    pub(crate) events: Vec<RecordedEvent>,
    /// What stands in the way of the one behind them.
    pub(crate) failed: Option<StoreError>,
}

impl Fetched {
    /// The events if there are any: what failed is met again by the next fetch.
    pub(crate) fn or_failed(self) -> Result<Vec<RecordedEvent>, StoreError> {
        match self.failed {
            Some(error) if self.events.is_empty() => Err(error),
            _ => Ok(self.events),
        }
    }
}

/// Reads the events at these places, in the order given, which goes one way.
pub(crate) async fn fetch(
    shared: &Arc<Shared>,
    places: &[Place],
    is_right: impl Fn(usize, &RecordedEvent) -> bool,
) -> Fetched {
    let mut fetched = Fetched::default();
    fetched.failed = fill(shared, places, &mut fetched.events).await.err();
    if let Some(wrong) = (0..).zip(&fetched.events).position(|(at, event)| !is_right(at, event)) {
        let position = fetched.events.drain(wrong..).next().map_or(Position::ZERO, |event| event.position);
        fetched.failed = Some(ReadError::from(disagreement(position)).into_store_error());
    }
    fetched
}

/// Reads what is in memory on the caller's thread, and what is not too, for a while, if the disk is quick. Then one thread that may block goes on as long as that is so.
/// When it is not, the others are asked for many at a time, since a disk answers many questions at once in little more time
/// than one.
async fn fill(shared: &Arc<Shared>, places: &[Place], events: &mut Vec<RecordedEvent>) -> Result<(), StoreError> {
    let plan = Arc::new(Plan::new(places).map_err(|damage| ReadError::from(damage).into_store_error())?);
    events.reserve(places.len());
    let (end, began) = (plan.pages.len(), Instant::now());
    let mut at = plan.read_memory(shared, began, events).map_err(ReadError::into_store_error)?;
    while at < end && shared.pace.is_quick() && began.elapsed() < limits::INLINE_READ_MAX {
        let pages = at..end.min(at + limits::PAGES_AT_ONCE);
        at = pages.end;
        let (read, _) = shared.pace.observe(pages.len(), || plan.read(shared, pages, events));
        read.map_err(ReadError::into_store_error)?;
    }
    if at < end && shared.pace.is_worth_a_try() {
        at = read_on(&plan, shared, at..end, Pause::WhenSlow).await?.add_to(events)?;
    }
    let share = (end - at).div_ceil(limits::FETCHES_TOGETHER).max(1);
    let shares = (at..end).step_by(share).map(|first| first..(first + share).min(end));
    let reads: Vec<_> = shares.map(|share| read_on(&plan, shared, share, Pause::Never)).collect();
    for read in reads {
        read.await?.add_to(events)?;
    }
    Ok(())
}

/// When a thread stops before it has read everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    WhenSlow,
    Never,
}

/// Begins to read pages on a thread that may block.
fn read_on(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    pages: Range<usize>,
    pause: Pause,
) -> impl Future<Output = Result<Part, StoreError>> {
    let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
    let read = task::spawn_blocking(move || {
        let mut part = Part { events: Vec::new(), next: pages.start, failed: None };
        while part.next < pages.end && part.failed.is_none() {
            let some = part.next..pages.end.min(part.next + limits::PAGES_AT_ONCE);
            part.next = some.end;
            let (read, is_slow) = match pause {
                Pause::WhenSlow => shared.pace.observe(some.len(), || plan.read(&shared, some, &mut part.events)),
                Pause::Never => (plan.read(&shared, some, &mut part.events), false),
            };
            part.failed = read.err();
            if is_slow {
                break;
            }
        }
        part
    });
    async { read.await.map_err(|_| StoreError::Closed) }
}

/// What one thread has read.
struct Part {
    events: Vec<RecordedEvent>,
    /// The page behind those that were read.
    next: usize,
    failed: Option<ReadError>,
}

impl Part {
    /// Hands its events over, and says which page comes next.
    fn add_to(mut self, events: &mut Vec<RecordedEvent>) -> Result<usize, StoreError> {
        events.append(&mut self.events);
        self.failed.map_or(Ok(self.next), |error| Err(error.into_store_error()))
    }
}

/// What is to be read, page by page.
struct Plan {
    /// Ascending within each page.
    positions: Vec<Position>,
    /// The key of each page, and which of the positions lie in it.
    pages: Vec<(Position, Range<usize>)>,
    is_descending: bool,
}

impl Plan {
    fn new(places: &[Place]) -> Result<Self, Damage> {
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

    /// Adds what is wanted to `out` up to the first page that is not in memory, or for as long as a caller may be kept, and says
    /// which page comes next.
    fn read_memory(&self, shared: &Shared, began: Instant, out: &mut Vec<RecordedEvent>) -> Result<usize, ReadError> {
        let mut at = 0;
        while at < self.pages.len() && began.elapsed() < limits::INLINE_READ_MAX {
            match self.read_tier(shared, Tier::Memory, at..at + 1, out) {
                Err(ReadError::NotInMemory) => break,
                read => read?,
            }
            at += 1;
        }
        Ok(at)
    }

    /// Adds what is wanted of these pages to `out`, in the order in which it was asked for.
    fn read(&self, shared: &Shared, pages: Range<usize>, out: &mut Vec<RecordedEvent>) -> Result<(), ReadError> {
        self.read_tier(shared, Tier::Disk, pages, out)
    }

    fn read_tier(
        &self,
        shared: &Shared,
        tier: Tier,
        pages: Range<usize>,
        out: &mut Vec<RecordedEvent>,
    ) -> Result<(), ReadError> {
        let pages = self.pages.get(pages).unwrap_or_default();
        let firsts: Vec<Position> = pages.iter().map(|(first, _)| *first).collect();
        shared.look_at_pages(&firsts, tier, |at, bytes| {
            let Some((first, range)) = pages.get(at) else { return Ok(()) };
            let (positions, begin) = (self.positions.get(range.clone()).unwrap_or_default(), out.len());
            match pick_records(bytes, *first, positions, out) {
                // Those before the damaged one come behind it here.
                Err(_) if self.is_descending => {
                    out.truncate(begin);
                    positions.iter().rev().try_for_each(|position| pick_records(bytes, *first, &[*position], out))?;
                }
                picked => picked?,
            }
            if self.is_descending {
                out.get_mut(begin..).unwrap_or_default().reverse();
            }
            Ok(())
        })
    }
}

/// The key of the page in which the event at `position` has this slot.
pub(super) fn page_of(position: Position, slot: u32) -> Result<Position, Damage> {
    let first = position.get().checked_sub(u64::from(slot)).filter(|first| *first > 0);
    first.map(Position::new).ok_or_else(|| disagreement(position))
}

fn disagreement(position: Position) -> Damage {
    Damage { position, detail: "the index and the log disagree; delete the index folder" }
}
