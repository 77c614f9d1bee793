//! Subscriptions: history from disk, then the shared recent pages, in one path.

use std::sync::{Arc, Weak};

use annalist_core::{Cursor, Delivery, Direction, Position, RecordedEvent, StoreError, Subscription};
use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    limits,
    reader::fetch_log,
    rocks::{ReadError, Tier},
    shared::{Shared, blocking},
};

/// Begins to follow the log behind a cursor.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    _query: annalist_core::Query,
    after: Cursor,
) -> Result<Box<dyn Subscription>, StoreError> {
    let head = shared.cursor(shared.watermark());
    if !after.fits(&head) {
        return Err(StoreError::ForeignCursor { cursor: after, head });
    }
    Ok(Box::new(Follow {
        announcements: shared.announcements(),
        shared: Arc::downgrade(shared),
        after: after.position,
        at_edge: false,
    }))
}

struct Follow {
    shared: Weak<Shared>,
    announcements: watch::Receiver<Position>,
    /// The last position that was delivered.
    after: Position,
    /// Whether the caught-up signal for `after` was given.
    at_edge: bool,
}

#[async_trait]
impl Subscription for Follow {
    async fn next(&mut self) -> Result<Delivery, StoreError> {
        loop {
            // The store lives no longer than it must: while waiting, nothing is held.
            let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
            let watermark = *self.announcements.borrow_and_update();
            if self.after < watermark {
                let events = fetch(&shared, self.after, watermark).await?;
                if let Some(last) = events.last() {
                    self.after = last.position;
                    self.at_edge = false;
                    return Ok(Delivery::Events(events));
                }
                let detail = "the log ends before its durable head".to_owned();
                return Err(StoreError::Corrupt { position: self.after.next(), detail });
            }
            if !self.at_edge {
                self.at_edge = true;
                return Ok(Delivery::CaughtUp(shared.cursor(self.after)));
            }
            drop(shared);
            self.announcements.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }
}

async fn fetch(shared: &Arc<Shared>, after: Position, through: Position) -> Result<Vec<RecordedEvent>, StoreError> {
    if let Some(pages) = shared.recent_pages(after, limits::BATCH_BYTES) {
        let records = pages.iter().flat_map(|page| page.records(after.next(), through));
        return records.collect::<Result<_, _>>().map_err(|damage| ReadError::from(damage).into_store_error());
    }
    let shared = Arc::clone(shared);
    blocking(move || fetch_log(&shared, Direction::Forward, after, through, u64::MAX, Tier::Disk)).await
}
