//! Reads by query.

use std::sync::{Arc, Weak};

use annalist_core::{Batches, Cursor, Direction, Position, Query, RecordedEvent, StoreError};
use async_trait::async_trait;

use super::places::{self, Fetched};
use crate::{
    format::Place,
    limits,
    rocks::{ReadError, Tier},
    search::{Scope, Search},
    shared::{Shared, look_up},
};

/// A read of what matches a query.
pub(super) struct QueryRead {
    shared: Weak<Shared>,
    query: Arc<Query>,
    bound: Position,
    direction: Direction,
    left: u64,
    head: Cursor,
}

impl QueryRead {
    pub(super) fn new(
        shared: Weak<Shared>,
        query: Query,
        bound: Position,
        direction: Direction,
        limit: u64,
        head: Cursor,
    ) -> Self {
        Self { shared, query: Arc::new(query), bound, direction, left: limit, head }
    }
}

#[async_trait]
impl Batches for QueryRead {
    fn head(&self) -> Cursor {
        self.head
    }

    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError> {
        if self.left == 0 {
            return Ok(Vec::new());
        }
        let shared = self.shared.upgrade().ok_or(StoreError::Closed)?;
        let (first, last) = (Position::new(1), self.head.position);
        let range = match self.direction {
            Direction::Forward => (self.bound.next(), last),
            Direction::Backward => (first, last.min(self.bound.previous())),
        };
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(limits::BATCH_LIST_EVENTS);
        let (fetched, complete) = fetch_matching(&shared, &self.query, self.direction, range, limit).await?;
        let events = fetched.or_failed()?;
        self.left = if complete { 0 } else { self.left.saturating_sub(events.len() as u64) };
        if let Some(last) = events.last() {
            self.bound = last.position;
        }
        Ok(events)
    }
}

/// The first events that match a query in a range of positions, in order of the direction, and whether these are all of them.
/// The query is not one that matches everything.
pub(crate) async fn fetch_matching(
    shared: &Arc<Shared>,
    query: &Arc<Query>,
    direction: Direction,
    range: (Position, Position),
    limit: usize,
) -> Result<(Fetched, bool), StoreError> {
    let search = Arc::clone(query);
    let places = look_up(shared, move |shared, tier| find(shared, &search, direction, range, limit, tier)).await?;
    let fetched = places::fetch(shared, &places, |_, record| query.matches(record)).await;
    let complete = places.len() < limit && fetched.failed.is_none();
    Ok((fetched, complete))
}

fn find(
    shared: &Shared,
    query: &Query,
    direction: Direction,
    range: (Position, Position),
    limit: usize,
    tier: Tier,
) -> Result<Vec<Place>, ReadError> {
    let (_, view) = shared.durable_view();
    let scope = Scope { view: &view, disk: Some((&shared.index, tier)), range };
    let mut search = Search::new(scope, query, direction, limit);
    let mut places = Vec::new();
    while places.len() < limit
        && let Some(place) = search.next()?
    {
        places.push(place);
    }
    Ok(places)
}
