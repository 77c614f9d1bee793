//! Events that a group has taken in and keeps in memory until they are handed out.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use annalist_core::RecordedEvent;

use crate::limits::{GROUP_READY_BYTES, GROUPS_READY_BYTES};

/// What all groups of a server keep ready together, in bytes.
pub(crate) type ReadyBytes = Arc<AtomicUsize>;

/// What one of them does.
#[derive(Debug)]
pub(super) struct Ready {
    events: HashMap<u64, RecordedEvent>,
    bytes: usize,
    all: ReadyBytes,
}

impl Ready {
    /// Nothing, of a group that shares the bound with those that have the same count.
    pub(super) fn new(all: ReadyBytes) -> Self {
        Self { events: HashMap::new(), bytes: 0, all }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// In bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is room for another batch. There always is for the only one, so that no group waits for others.
    pub(super) fn has_room(&self) -> bool {
        self.is_empty() || self.bytes < GROUP_READY_BYTES && self.all.load(Relaxed) < GROUPS_READY_BYTES
    }

    /// Keeps an event, and nothing else of the page that it lies in.
    pub(super) fn put(&mut self, event: &RecordedEvent) {
        let (position, event) = (event.position.get(), event.detached());
        let bytes = bytes_of(&event);
        if self.events.insert(position, event).is_none() {
            self.bytes += bytes;
            self.all.fetch_add(bytes, Relaxed);
        }
    }

    /// An event that is handed out, if it is here.
    pub(super) fn take(&mut self, position: u64) -> Option<RecordedEvent> {
        let event = self.events.remove(&position)?;
        let bytes = bytes_of(&event);
        self.bytes -= bytes;
        self.all.fetch_sub(bytes, Relaxed);
        Some(event)
    }

    /// Keeps nothing of it any more.
    pub(super) fn clear(&mut self) {
        self.events = HashMap::new();
        self.all.fetch_sub(std::mem::take(&mut self.bytes), Relaxed);
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bytes_of(event: &RecordedEvent) -> usize {
    size_of::<RecordedEvent>() + event.body_bytes()
}

#[cfg(test)]
mod tests;
