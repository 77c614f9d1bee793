//! Reads by query.

use std::sync::{Arc, Weak};

use annalist_core::{Batches, Cursor, Direction, Position, Query, RecordedEvent, StoreError};
use async_trait::async_trait;

use super::{
    places::{self, Fetched},
    plan::Weight,
};
use crate::{
    format::Place,
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
    weight: Weight,
}

impl QueryRead {
    pub(super) fn new(
        shared: Weak<Shared>,
        query: Query,
        bound: Position,
        direction: Direction,
        limit: u64,
        head: Cursor,
        weight: Weight,
    ) -> Self {
        Self { shared, query: Arc::new(query), bound, direction, left: limit, head, weight }
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
        let (query, weight) = (&self.query, &mut self.weight);
        let (fetched, complete) = fetch_matching(&shared, query, self.direction, range, self.left, weight).await?;
        let events = fetched.or_failed()?;
        self.left = if complete { 0 } else { self.left.saturating_sub(events.len() as u64) };
        if let Some(last) = events.last() {
            self.bound = last.position;
        }
        Ok(events)
    }
}

/// The first events that match a query in a range of positions, in order of the direction, a batch of them and no more than so many, and
/// whether these are all of them.
/// The query is not one that matches everything.
pub(crate) async fn fetch_matching(
    shared: &Arc<Shared>,
    query: &Arc<Query>,
    direction: Direction,
    range: (Position, Position),
    left: u64,
    weight: &mut Weight,
) -> Result<(Fetched, bool), StoreError> {
    let (search, limit) = (Arc::clone(query), weight.batch_events(left));
    let places = look_up(shared, move |shared, tier| find(shared, &search, direction, range, limit, tier)).await?;
    let fetched = places::fetch(shared, &places, weight, |_, record| query.matches(record)).await;
    let complete = places.len() < limit && fetched.events.len() == places.len();
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
