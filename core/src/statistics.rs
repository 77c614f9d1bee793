//! What a store says of itself.

use crate::position::{Cursor, Position};

/// What a store holds and what that costs. Counts include the store's own records; sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// The last durable position; its number is the count of events.
    pub head: Cursor,
    /// How many streams have events.
    pub streams: u64,
    /// The bodies of all events as they are encoded: names, tags, metadata and payloads, before compression.
    pub event_bytes: u64,
    /// What the log occupies on the disk, its write-ahead log included; zero in memory.
    pub log_bytes: u64,
    /// What the index occupies on the disk; zero in memory.
    pub index_bytes: u64,
    /// Up to where the index on the disk covers the log; what lies behind it is found in memory.
    pub indexed: Position,
}

impl Statistics {
    /// The statistics of an empty store with this head; a store fills in what it knows.
    #[must_use]
    pub const fn at(head: Cursor) -> Self {
        Self { head, streams: 0, event_bytes: 0, log_bytes: 0, index_bytes: 0, indexed: head.position }
    }

    /// How many events the log has.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.head.position.get()
    }

    /// How many events the index on the disk is behind the log.
    #[must_use]
    pub const fn index_lag(&self) -> u64 {
        self.head.position.get().saturating_sub(self.indexed.get())
    }

    /// Bytes on the disk per byte of events; `None` while there are no events.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn amplification(&self) -> Option<f64> {
        let stored = self.log_bytes.saturating_add(self.index_bytes);
        (self.event_bytes > 0).then(|| stored as f64 / self.event_bytes as f64)
    }
}
