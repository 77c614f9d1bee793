//! From the log to windows of messages.

use std::{collections::VecDeque, mem, sync::Arc};

use annalist_core::{Cursor, Delivery, Position, RecordedEvent, StoreError, Subscription};

use super::{
    limits::WINDOW_SCANNED_MAX, mapping::Mappings, message::Message, options::RelayOptions, publisher::Published,
    status::Stopped,
};

/// What is published together.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// In order; none if a stretch of the log maps to nothing.
    pub(super) messages: Vec<Message>,
    /// The last event that is dealt with once the messages are published; `None` if there was no event.
    pub(super) scanned: Option<Cursor>,
    bytes: usize,
    events: usize,
}

/// Why the feed has ended.
#[derive(Debug)]
pub(super) enum FeedError {
    Store(StoreError),
    Unmappable(Stopped),
}

/// Follows the log and fills windows.
pub(super) struct Feed {
    subscription: Box<dyn Subscription>,
    mappings: Arc<Mappings>,
    options: RelayOptions,
    /// The log: cursors of events are made of it.
    log: Cursor,
    /// The last message that the broker holds: its event's messages up to this one are left out.
    skip: Option<Published>,
    /// Delivered, not yet mapped.
    pending: VecDeque<RecordedEvent>,
    window: Window,
    failed: Option<FeedError>,
}

impl Feed {
    pub(super) fn new(
        subscription: Box<dyn Subscription>,
        mappings: Arc<Mappings>,
        options: RelayOptions,
        log: Cursor,
        skip: Option<Published>,
    ) -> Self {
        let (pending, window) = (VecDeque::new(), Window::default());
        Self { subscription, mappings, options, log, skip, pending, window, failed: None }
    }

    /// The next window: full, or what there is when the log has no more. Waits while there is nothing. Cancel-safe.
    ///
    /// An event that cannot be mapped ends the feed, behind a window of what stands before it.
    pub(super) async fn next(&mut self) -> Result<Window, FeedError> {
        loop {
            while let Some(record) = self.pending.pop_front() {
                if let Err(stopped) = self.take(&record) {
                    self.pending.clear();
                    self.failed = Some(FeedError::Unmappable(stopped));
                } else if !self.is_full() {
                    continue;
                }
                return self.cut();
            }
            if self.failed.is_some() {
                return self.cut();
            }
            match self.subscription.next().await {
                Ok(Delivery::Events(events)) => self.pending.extend(events),
                Ok(Delivery::CaughtUp(_)) if self.window.scanned.is_some() => return self.cut(),
                Ok(Delivery::CaughtUp(_) | Delivery::Checkpoint(_)) => {}
                Err(error) => self.failed = Some(FeedError::Store(error)),
            }
        }
    }

    fn cut(&mut self) -> Result<Window, FeedError> {
        match self.failed.take() {
            Some(failed) if self.window.scanned.is_none() => Err(failed),
            failed => {
                self.failed = failed;
                Ok(mem::take(&mut self.window))
            }
        }
    }

    /// Maps one event and adds its messages.
    fn take(&mut self, record: &RecordedEvent) -> Result<(), Stopped> {
        let cursor = self.log.at(record.position);
        let events = self.mappings.apply(record, cursor).map_err(|error| Stopped::Unmappable {
            position: record.position,
            event_type: format!("{}.v{}", record.type_name(), record.type_version()),
            error,
        })?;
        for (ordinal, event) in (0..).zip(events) {
            if self.is_published(record.position, ordinal) {
                continue;
            }
            let message = Message::new(record, cursor, ordinal, event);
            self.window.bytes += message.byte_count();
            self.window.messages.push(message);
        }
        self.window.events += 1;
        self.window.scanned = Some(cursor);
        Ok(())
    }

    fn is_published(&self, position: Position, ordinal: u32) -> bool {
        self.skip.is_some_and(|last| (position, ordinal) <= (last.cursor.position, last.ordinal))
    }

    fn is_full(&self) -> bool {
        self.window.messages.len() >= self.options.window_messages_max
            || self.window.bytes >= self.options.window_bytes_max
            || self.window.events >= WINDOW_SCANNED_MAX
    }
}
