//! Subscriptions: history from disk, then the shared recent pages, in one path.

use std::sync::{Arc, Weak, atomic::Ordering};

use annalist_core::{Cursor, Delivery, Direction, Position, Query, RecordedEvent, StoreError, Subscription};
use async_trait::async_trait;

use crate::{
    concurrency::{
        time::{Instant, sleep_until},
        watch,
    },
    format::Damage,
    limits,
    metrics::Seen,
    reader::{Weight, fetch_log, fetch_matching},
    rocks::ReadError,
    shared::{Shared, blocking},
};

/// Begins to follow what matches a query behind a cursor.
pub(crate) fn begin(shared: &Arc<Shared>, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
    query.check()?;
    let after = shared.locate(after)?;
    Ok(Box::new(Follow {
        announcements: shared.announcements(),
        shared: Arc::downgrade(shared),
        seen: shared.metrics.subscribed(after.position),
        weight: Weight::of(shared),
        query: (!query.is_all()).then(|| Arc::new(query)),
        after: after.position,
        at_edge: false,
        checkpoint_due: None,
    }))
}

struct Follow {
    shared: Weak<Shared>,
    /// The same as `after`, for who measures.
    seen: Seen,
    announcements: watch::Receiver<Position>,
    /// Which events; `None` for all.
    query: Option<Arc<Query>>,
    /// Everything up to here was delivered or does not match.
    after: Position,
    /// What events of the query weigh.
    weight: Weight,
    /// Whether it was said that there is nothing behind what was delivered.
    at_edge: bool,
    /// When to say how far events were passed over, if some were since the edge.
    checkpoint_due: Option<Instant>,
}

#[async_trait]
impl Subscription for Follow {
    async fn next(&mut self) -> Result<Delivery, StoreError> {
        loop {
            // The store lives no longer than it must: while waiting, nothing is held.
            let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
            let watermark = *self.announcements.borrow_and_update();
            if self.after < watermark {
                let (query, after) = (self.query.as_ref(), self.after);
                let (events, through) = fetch(&shared, query, after, watermark, &mut self.weight).await?;
                self.after = through;
                self.seen.store(through.get(), Ordering::Relaxed);
                if !events.is_empty() {
                    (self.at_edge, self.checkpoint_due) = (false, None);
                    return Ok(Delivery::Events(events));
                }
                self.checkpoint_due.get_or_insert_with(|| Instant::now() + limits::CHECKPOINT_INTERVAL);
                if self.is_due() {
                    return Ok(self.checkpoint(&shared));
                }
                continue;
            }
            if let Some(ended) = shared.ended() {
                return Err(ended);
            }
            if !self.at_edge {
                (self.at_edge, self.checkpoint_due) = (true, None);
                return Ok(Delivery::CaughtUp(shared.cursor(self.after)));
            }
            drop(shared);
            let due = self.checkpoint_due.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                changed = self.announcements.changed() => changed.map_err(|_| StoreError::Closed)?,
                () = sleep_until(due), if self.checkpoint_due.is_some() => {
                    let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
                    return Ok(self.checkpoint(&shared));
                }
            }
        }
    }
}

impl Follow {
    fn is_due(&self) -> bool {
        self.checkpoint_due.is_some_and(|due| due <= Instant::now())
    }

    fn checkpoint(&mut self, shared: &Shared) -> Delivery {
        self.checkpoint_due = None;
        Delivery::Checkpoint(shared.cursor(self.after))
    }
}

/// Some of the matching events behind `after`, in order, and up to where these are all of them.
async fn fetch(
    shared: &Arc<Shared>,
    query: Option<&Arc<Query>>,
    after: Position,
    watermark: Position,
    weight: &mut Weight,
) -> Result<(Vec<RecordedEvent>, Position), StoreError> {
    if let Some(pages) = shared.recent_pages(after, limits::BATCH_BYTES) {
        let through = pages.last().map_or(after, |page| page.last().min(watermark));
        let records = pages.iter().flat_map(|page| page.records(after.next(), watermark));
        let wanted = records.filter(|record| match (record, query) {
            (Ok(record), Some(query)) => query.matches(record),
            (Err(_), _) | (_, None) => true,
        });
        let events: Result<Vec<_>, Damage> = wanted.collect();
        return Ok((events.map_err(|damage| ReadError::from(damage).into_store_error())?, through));
    }
    let Some(query) = query else {
        let shared = Arc::clone(shared);
        let fetch = move || fetch_log(&shared, after, watermark);
        let events = blocking(fetch).await?;
        let through = events.last().map_or(after, |last| last.position);
        return Ok((events, through));
    };
    let range = (after.next(), watermark);
    let (fetched, complete) = fetch_matching(shared, query, Direction::Forward, range, u64::MAX, weight).await?;
    let events = fetched.or_failed()?;
    let last = events.last().map_or(after, |event| event.position);
    Ok((events, if complete { watermark } else { last }))
}
