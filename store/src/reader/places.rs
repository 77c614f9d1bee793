//! Reading events of which it is known where they stand.

use std::sync::Arc;

use annalist_core::{Position, RecordedEvent, StoreError};

use crate::{
    format::{Damage, Page, Place},
    limits,
    rocks::{ReadError, Tier},
    shared::{Shared, blocking},
};

/// Events that were read, and why not all were.
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

/// Reads the events at these places, in the order given. Pages that are not in memory are read from the disk many at a time: a
/// disk answers many questions at once in little more time than one.
pub(crate) async fn fetch(
    shared: &Arc<Shared>,
    places: &[Place],
    is_right: impl Fn(usize, &RecordedEvent) -> bool,
) -> Fetched {
    let mut fetched = Fetched { events: Vec::with_capacity(places.len()), failed: None };
    fetched.failed = fill(shared, places, is_right, &mut fetched.events).await.err();
    fetched
}

async fn fill(
    shared: &Arc<Shared>,
    places: &[Place],
    is_right: impl Fn(usize, &RecordedEvent) -> bool,
    events: &mut Vec<RecordedEvent>,
) -> Result<(), StoreError> {
    let store_error = ReadError::into_store_error;
    let mut firsts: Vec<Position> = Vec::with_capacity(places.len());
    for (position, slot) in places {
        let first = page_of(*position, *slot).map_err(|damage| store_error(damage.into()))?;
        if firsts.last() != Some(&first) {
            firsts.push(first);
        }
    }
    let mut pages: Vec<Option<Result<Page, ReadError>>> = Vec::with_capacity(firsts.len());
    let mut missing: Vec<Position> = Vec::new();
    for first in &firsts {
        match shared.page(*first, Tier::Memory) {
            Err(ReadError::NotInMemory) => {
                missing.push(*first);
                pages.push(None);
            }
            found => pages.push(Some(found)),
        }
    }
    let mut from_disk = read_together(shared, &missing).await?.into_iter();
    let mut at = 0;
    for (first, page) in firsts.into_iter().zip(pages) {
        let page = page.or_else(|| from_disk.next()).unwrap_or(Err(ReadError::NotInMemory)).map_err(store_error)?;
        while let Some((position, slot)) = places.get(at)
            && page_of(*position, *slot).is_ok_and(|own| own == first)
        {
            let record = page.record(*position).map_err(|damage| store_error(damage.into()))?;
            if !is_right(at, &record) {
                return Err(store_error(disagreement(*position).into()));
            }
            events.push(record);
            at += 1;
        }
    }
    Ok(())
}

/// Reads pages on several threads that may block.
async fn read_together(shared: &Arc<Shared>, firsts: &[Position]) -> Result<Vec<Result<Page, ReadError>>, StoreError> {
    let share = firsts.len().div_ceil(limits::FETCHES_TOGETHER).max(1);
    let reads: Vec<_> = firsts
        .chunks(share)
        .map(|firsts| {
            let (shared, firsts) = (Arc::clone(shared), firsts.to_vec());
            let read = move || firsts.iter().map(|first| shared.page(*first, Tier::Disk)).collect::<Vec<_>>();
            tokio::spawn(blocking(move || Ok(read())))
        })
        .collect();
    let mut pages = Vec::with_capacity(firsts.len());
    for read in reads {
        pages.extend(read.await.map_err(|_| StoreError::Closed)??);
    }
    Ok(pages)
}

/// The key of the page in which the event at `position` has this slot.
pub(super) fn page_of(position: Position, slot: u32) -> Result<Position, Damage> {
    let first = position.get().checked_sub(u64::from(slot)).filter(|first| *first > 0);
    first.map(Position::new).ok_or_else(|| disagreement(position))
}

fn disagreement(position: Position) -> Damage {
    Damage { position, detail: "the index and the log disagree; delete the index folder" }
}
