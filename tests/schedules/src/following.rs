//! A subscriber, which notes what it is told and has something to say about it.

use std::sync::Arc;

use annalist_core::{Delivery, Position, Query, Read, RecordedEvent, StoreError, Subscription};

use crate::{
    census::{self, Kind},
    world::{Ledger, Seen},
};

/// A subscription, and what it has said.
pub(crate) struct Following {
    subscription: Box<dyn Subscription>,
    ledger: Arc<Ledger>,
    query: Query,
    last: Position,
    at_edge: bool,
    events: Vec<RecordedEvent>,
}

impl Following {
    pub(crate) fn new(ledger: Arc<Ledger>, subscription: Box<dyn Subscription>, query: Query) -> Self {
        Self { subscription, ledger, query, last: Position::ZERO, at_edge: false, events: Vec::new() }
    }

    /// How many events came next; zero for news of another kind.
    pub(crate) async fn next(&mut self) -> Result<usize, StoreError> {
        match self.subscription.next().await? {
            Delivery::Events(events) => {
                assert!(!events.is_empty(), "a delivery has events");
                for event in &events {
                    assert!(event.position > self.last, "{} comes behind {}", event.position, self.last);
                    assert!(event.position <= self.ledger.disk.durable(), "{} is not durable", event.position);
                    assert!(self.query.is_all() || self.query.matches(event), "it was not asked for");
                    self.last = event.position;
                }
                self.at_edge = false;
                let count = events.len();
                self.events.extend(events);
                Ok(count)
            }
            Delivery::CaughtUp(cursor) => {
                assert!(!self.at_edge, "it has caught up twice");
                assert!(cursor.position >= self.last, "it has caught up with less than it has seen");
                (self.at_edge, self.last) = (true, cursor.position);
                census::note(Kind::CaughtUp);
                Ok(0)
            }
            Delivery::Checkpoint(cursor) => {
                assert!(cursor.position >= self.last, "a checkpoint goes back");
                self.last = cursor.position;
                census::note(Kind::Checkpoint);
                Ok(0)
            }
        }
    }

    /// Follows until the store closes.
    pub(crate) async fn until_closed(mut self) {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(StoreError::Closed) => break,
                Err(error) => panic!("a subscription ends with {error}"),
            }
        }
        // Up to the last that it was told of, it has seen what a read would have shown.
        let Self { ledger, query, last: head, events, .. } = self;
        let read = if query.is_all() { Read::all(Position::ZERO) } else { Read::query(query, Position::ZERO) };
        ledger.seen().push(Seen { read, head, events });
    }
}
