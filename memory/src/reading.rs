//! Reads and subscriptions.

use std::{sync::Weak, time::Duration};

use annalist_core::{
    Batches, Cursor, Delivery, Direction, Position, Query, Read, RecordedEvent, Source, StoreError, Subscription,
};
use async_trait::async_trait;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{log::Log, store::Inner};

/// Events in one batch: few, so that tests meet the borders between batches.
const BATCH_EVENTS: usize = 256;
/// How long a subscriber is left without news of how far others' events were passed over.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// The positions that a read delivers, in order: what it sees is settled when it begins.
pub(crate) fn positions(log: &Log, read: &Read) -> Result<Vec<Position>, StoreError> {
    Ok(match &read.source {
        // Both sources count densely from 1: the log its positions, a stream its versions.
        Source::All { bound } => ordinals(read, bound.get(), log.head().get()).map(Position::new).collect(),
        Source::Stream { stream, bound } => {
            let places = log.stream(stream);
            let place = |version: u64| places.get(usize::try_from(version.checked_sub(1)?).ok()?).copied();
            ordinals(read, bound.get(), places.len() as u64).filter_map(place).collect()
        }
        Source::Query { query, bound } => {
            query.check()?;
            let limit = usize::try_from(read.limit).unwrap_or(usize::MAX);
            match read.direction {
                Direction::Forward => log.matching(query, *bound).map(|event| event.position).take(limit).collect(),
                Direction::Backward => {
                    let before = log.matching(query, Position::ZERO).rev().map(|event| event.position);
                    before.filter(|position| position < bound).take(limit).collect()
                }
            }
        }
        // No other source exists so far.
        _ => Vec::new(),
    })
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
    pub(crate) head: Cursor,
    pub(crate) positions: std::vec::IntoIter<Position>,
}

#[async_trait]
impl Batches for Finite {
    fn head(&self) -> Cursor {
        self.head
    }

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
    pub(crate) query: Query,
    /// Everything up to here was delivered or does not match.
    pub(crate) after: Cursor,
    /// Whether it was said that there is nothing behind `after`.
    pub(crate) at_edge: bool,
    /// When to say how far events were passed over, if some were.
    pub(crate) checkpoint_due: Option<Instant>,
}

impl Follow {
    /// What is there to deliver now, if anything.
    fn delivery(&mut self) -> Result<Option<Delivery>, StoreError> {
        let store = self.store.upgrade().ok_or(StoreError::Closed)?;
        let log = store.log()?;
        let events: Vec<_> = log.matching(&self.query, self.after.position).take(BATCH_EVENTS).cloned().collect();
        if let Some(last) = events.last() {
            self.after = self.after.at(last.position);
            (self.at_edge, self.checkpoint_due) = (false, None);
            return Ok(Some(Delivery::Events(events)));
        }
        if self.after.position < log.head() {
            self.after = self.after.at(log.head());
            self.checkpoint_due.get_or_insert_with(|| Instant::now() + CHECKPOINT_INTERVAL);
        }
        if self.at_edge {
            return Ok(None);
        }
        (self.at_edge, self.checkpoint_due) = (true, None);
        Ok(Some(Delivery::CaughtUp(self.after)))
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
            let due = self.checkpoint_due.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = sleep_until(due), if self.checkpoint_due.is_some() => {
                    self.checkpoint_due = None;
                    return Ok(Delivery::Checkpoint(self.after));
                }
                changed = self.announcements.changed() => changed.map_err(|_| StoreError::Closed)?,
            }
        }
    }
}
