//! A subscription as batches that are as large as a transaction should be.

use annalist_core::{Cursor, Delivery, EventStore, Query, RecordedEvent, StoreError, Subscription};

use super::instance::Decoded;

/// See the module.
pub(super) struct Feed {
    subscription: Box<dyn Subscription>,
    events_max: usize,
    pending: Vec<RecordedEvent>,
    failed: Option<StoreError>,
}

/// Events that belong in one transaction.
pub(super) struct Fed {
    /// In order, without a gap to those before. Empty only with `caught_up`.
    pub(super) events: Vec<RecordedEvent>,
    /// Whether there was nothing more behind them.
    pub(super) caught_up: bool,
    /// The same events decoded, if that was done ahead.
    pub(super) decoded: Option<Decoded>,
}

impl Feed {
    /// Follows the log behind `after`, in batches of about `events_max`.
    pub(super) async fn open(events: &dyn EventStore, after: Cursor, events_max: usize) -> Result<Self, StoreError> {
        let subscription = events.subscribe(Query::all(), after).await?;
        Ok(Self { subscription, events_max, pending: Vec::new(), failed: None })
    }

    /// Waits for the next batch: full, or all that there is. Cancel-safe.
    ///
    /// # Errors
    /// What the subscription says, after the events before it.
    pub(super) async fn next(&mut self) -> Result<Fed, StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        // History, like news, is followed by the signal that there is no more; so this never waits with events in hand.
        while self.pending.len() < self.events_max {
            match self.subscription.next().await {
                Ok(Delivery::Events(events)) if self.pending.is_empty() => self.pending = events,
                Ok(Delivery::Events(events)) => self.pending.extend(events),
                Ok(Delivery::CaughtUp(_)) => return Ok(self.take(true)),
                // Of all events none is passed over.
                Ok(Delivery::Checkpoint(_)) => {}
                Err(error) if self.pending.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(self.take(false))
    }

    fn take(&mut self, caught_up: bool) -> Fed {
        Fed { events: std::mem::take(&mut self.pending), caught_up, decoded: None }
    }
}
