//! Reads of one stream.

use std::sync::Weak;

use annalist_core::{Batches, Cursor, Direction, Position, RecordedEvent, StoreError, StreamId, Version};
use async_trait::async_trait;

use super::{places, plan::Weight};
use crate::{
    format::Place,
    rocks::{ReadError, Tier},
    shared::{Shared, look_up},
};

/// A read of one stream.
pub(super) struct StreamRead {
    shared: Weak<Shared>,
    stream: StreamId,
    bound: Version,
    direction: Direction,
    left: u64,
    head: Cursor,
    weight: Weight,
}

impl StreamRead {
    pub(super) const fn new(
        shared: Weak<Shared>,
        stream: StreamId,
        bound: Version,
        direction: Direction,
        limit: u64,
        head: Cursor,
        weight: Weight,
    ) -> Self {
        Self { shared, stream, bound, direction, left: limit, head, weight }
    }
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
        let limit = self.weight.batch_events(self.left);
        let find = move |shared: &Shared, tier| find(shared, stream.as_str(), direction, bound, (through, limit), tier);
        let found = look_up(&shared, find).await?;
        let places: Vec<Place> = found.iter().map(|(_, place)| *place).collect();
        let is_right = |at: usize, record: &RecordedEvent| {
            found.get(at).is_some_and(|(version, _)| record.version == *version)
                && record.stream() == self.stream.as_str()
        };
        let events = places::fetch(&shared, &places, &mut self.weight, is_right).await.or_failed()?;
        // Fewer than asked for: the stream as it was when the read began has no more.
        self.left = if places.len() < limit && events.len() == places.len() {
            0
        } else {
            self.left.saturating_sub(events.len() as u64)
        };
        if let Some(last) = events.last() {
            self.bound = last.version;
        }
        Ok(events)
    }
}

/// The versions behind (or before) `bound` and where they stand, in order of the direction.
fn find(
    shared: &Shared,
    stream: &str,
    direction: Direction,
    bound: Version,
    (through, limit): (Position, usize),
    tier: Tier,
) -> Result<Vec<(Version, Place)>, ReadError> {
    // The view may be newer than the read: its mark may lie behind `through`.
    let (_, view) = shared.durable_view();
    let range = match direction {
        Direction::Forward => (bound.next(), Version::MAX),
        Direction::Backward => {
            let head = view.head(&shared.index, stream, through, tier)?;
            let last = bound.previous().min(head);
            (Version::new(last.get().saturating_sub(limit as u64) + 1), last)
        }
    };
    let mut found = view.versions(&shared.index, stream, range, (through, limit), tier)?;
    if direction == Direction::Backward {
        found.reverse();
    }
    Ok(found)
}
