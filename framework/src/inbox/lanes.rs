//! Which message is next: those of one key one after the other, those of different keys side by side.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{
    consumer::Answer,
    message::{Incoming, Malformed},
};

/// A message that was taken from the broker.
pub(super) struct Held {
    /// Which one it was since the inbox connected, from 0.
    pub(super) number: u64,
    /// Its number in the broker's stream.
    pub(super) sequence: Option<u64>,
    pub(super) key: String,
    pub(super) message: Result<Arc<Incoming>, Malformed>,
    pub(super) answer: Box<dyn Answer>,
}

/// All messages that are held. A key is there while one of its messages is worked on.
#[derive(Default)]
pub(super) struct Lanes {
    by_key: HashMap<String, Lane>,
    held: usize,
    /// The greatest number of the broker's that was taken in.
    seen: Option<u64>,
}

struct Lane {
    /// The one that is worked on.
    first: Arc<Held>,
    waiting: VecDeque<Arc<Held>>,
}

impl Lanes {
    /// Takes a message in; gives it back if it is to be worked on now.
    pub(super) fn push(&mut self, held: Held) -> Option<Arc<Held>> {
        let held = Arc::new(held);
        self.held += 1;
        self.seen = self.seen.max(held.sequence);
        if let Some(lane) = self.by_key.get_mut(&held.key) {
            lane.waiting.push_back(held);
            return None;
        }
        let lane = Lane { first: Arc::clone(&held), waiting: VecDeque::new() };
        self.by_key.insert(held.key.clone(), lane);
        Some(held)
    }

    /// The message of the key that was worked on is dealt with; gives the next of the key.
    pub(super) fn done(&mut self, key: &str) -> Option<Arc<Held>> {
        let lane = self.by_key.get_mut(key)?;
        self.held -= 1;
        if let Some(next) = lane.waiting.pop_front() {
            lane.first = Arc::clone(&next);
            return Some(next);
        }
        self.by_key.remove(key);
        None
    }

    /// How many messages are held.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// The number of the broker's up to which everything is dealt with; `None` until something was taken in.
    pub(super) fn through(&self) -> Option<u64> {
        let oldest = self.iter().filter_map(|held| held.sequence).min();
        oldest.map_or(self.seen, |oldest| Some(oldest.saturating_sub(1)))
    }

    /// All that are held, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Held>> {
        self.by_key.values().flat_map(|lane| std::iter::once(&lane.first).chain(&lane.waiting))
    }

    /// All that are held, in the order in which they came.
    pub(super) fn into_order(self) -> Vec<Arc<Held>> {
        let mut all: Vec<_> = self.iter().cloned().collect();
        all.sort_by_key(|held| held.number);
        all
    }
}
