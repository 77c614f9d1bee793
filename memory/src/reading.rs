//! Reads and subscriptions.

use std::sync::Weak;

use annalist_core::{
    Batches, Cursor, Delivery, Direction, Position, Read, RecordedEvent, Source, StoreError, Subscription,
};
use async_trait::async_trait;
use tokio::sync::watch;

use crate::{log::Log, store::Inner};

/// Events in one batch: few, so that tests meet the borders between batches.
const BATCH_EVENTS: usize = 256;

/// The positions that a read delivers, in order: what it sees is settled when it begins.
pub(crate) fn positions(log: &Log, read: &Read) -> Vec<Position> {
    // Both sources count densely from 1: the log its positions, a stream its versions.
    match &read.source {
        Source::All { bound } => ordinals(read, bound.get(), log.head().get()).map(Position::new).collect(),
        Source::Stream { stream, bound } => {
            let places = log.stream(stream);
            let place = |version: u64| places.get(usize::try_from(version.checked_sub(1)?).ok()?).copied();
            ordinals(read, bound.get(), places.len() as u64).filter_map(place).collect()
        }
        // No other source exists so far.
        _ => Vec::new(),
    }
}

fn ordinals(read: &Read, bound: u64, last: u64) -> Box<dyn Iterator<Item = u64>> {
    let limit = usize::try_from(read.limit).unwrap_or(usize::MAX);
    match read.direction {
        Direction::Forward if bound < last => Box::new((bound + 1..=last).take(limit)),
        Direction::Forward => Box::new(std::iter::empty()),
        Direction::Backward => Box::new((1..=last.min(bound.saturating_sub(1))).rev().take(limit)),
    }
}

/// A finite read in progress.
pub(crate) struct Finite {
    pub(crate) store: Weak<Inner>,
    pub(crate) positions: std::vec::IntoIter<Position>,
}

#[async_trait]
impl Batches for Finite {
    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        let store = self.store.upgrade().ok_or(StoreError::Closed)?;
        let log = store.log()?;
        Ok(self.positions.by_ref().take(BATCH_EVENTS).filter_map(|position| log.event(position).cloned()).collect())
    }
}

/// A subscription in progress.
pub(crate) struct Follow {
    pub(crate) store: Weak<Inner>,
    pub(crate) announcements: watch::Receiver<Position>,
    /// The last position that was delivered.
    pub(crate) after: Cursor,
    /// Whether it was said that there is nothing behind `after`.
    pub(crate) at_edge: bool,
}

impl Follow {
    /// What is there to deliver now, if anything.
    fn delivery(&mut self) -> Result<Option<Delivery>, StoreError> {
        let store = self.store.upgrade().ok_or(StoreError::Closed)?;
        let log = store.log()?;
        let behind = self.after.position.get() + 1..=log.head().get();
        let events: Vec<_> =
            behind.take(BATCH_EVENTS).filter_map(|position| log.event(Position::new(position)).cloned()).collect();
        if let Some(last) = events.last() {
            self.after = self.after.at(last.position);
            self.at_edge = false;
            return Ok(Some(Delivery::Events(events)));
        }
        let said = std::mem::replace(&mut self.at_edge, true);
        Ok((!said).then_some(Delivery::CaughtUp(self.after)))
    }
}

#[async_trait]
impl Subscription for Follow {
    async fn next(&mut self) -> Result<Delivery, StoreError> {
        loop {
            // Seen before looking: what is announced from now on ends the wait below.
            self.announcements.mark_unchanged();
            if let Some(delivery) = self.delivery()? {
                return Ok(delivery);
            }
            self.announcements.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }
}
