//! What is published where.

use std::{fmt, sync::Arc};

use annalist_core::{Checkpoints, Cursor, EventStore, RecordedEvent};

use super::{
    mapping::{MapError, Mapped, Mappings},
    message::Message,
    options::RelayOptions,
    publisher::Publisher,
    relay::Relay,
};
use crate::event::{Declared, Events, Recorded};

/// An outbox: one destination and what it gets to see of the log.
///
/// ```
/// # use annalist::outbox::{IntegrationEvent, MapError, MemoryPublisher, Outbox};
/// # use annalist_core::RecordedEvent;
/// fn public(event: &RecordedEvent) -> Result<Vec<IntegrationEvent>, MapError> {
///     match event.type_name() {
///         "order-placed" => Ok(vec![IntegrationEvent::json("orders.order-placed.v1", event.stream(), "{}")?]),
///         _ => Ok(vec![]),
///     }
/// }
/// let outbox = Outbox::new(MemoryPublisher::new()).map(public);
/// ```
#[must_use = "an outbox does nothing until it is started"]
pub struct Outbox {
    pub(super) publisher: Box<dyn Publisher>,
    pub(super) mappings: Mappings,
    pub(super) options: RelayOptions,
    types: Vec<String>,
}

impl Outbox {
    /// An outbox to a destination. Nothing is published without a mapping.
    pub fn new(publisher: impl Publisher) -> Self {
        let (publisher, mappings, options) = (Box::new(publisher), Mappings::default(), RelayOptions::default());
        Self { publisher, mappings, options, types: Vec::new() }
    }

    /// Adds a mapping from recorded events, whatever their category. Several mappings are asked in order.
    ///
    /// A mapping is a pure function, and for one event always the same: after a restart the event is mapped again, and
    /// those of its integration events that the broker already holds are left out by their number.
    pub fn map<M: Mapped>(mut self, map: impl Fn(&RecordedEvent) -> M + Send + Sync + 'static) -> Self {
        self.mappings.add(map);
        self
    }

    /// Adds a mapping from events of one category or several, decoded; see [`Outbox::map`].
    pub fn map_events<E: Events, M: Mapped>(mut self, map: impl Fn(&Recorded<E>) -> M + Send + Sync + 'static) -> Self {
        self.mappings.add_typed(map);
        self
    }

    /// Names a type of integration event that the mappings make, for [descriptions](crate::Description) of the app: what a
    /// function returns cannot be seen from outside. It changes nothing of what is published.
    pub fn publishes(mut self, event_type: impl Into<String>) -> Self {
        self.types.push(event_type.into());
        self
    }

    /// Works with other options.
    pub fn options(mut self, options: RelayOptions) -> Self {
        self.options = options;
        self
    }

    /// The name of the destination.
    #[must_use]
    pub fn destination(&self) -> String {
        self.publisher.name()
    }

    /// The events that are mapped; `None` if a mapping looks at all of them.
    pub(crate) fn mapped(&self) -> Option<&[Declared]> {
        self.mappings.declared()
    }

    /// The messages that an event becomes.
    pub(crate) fn messages(&self, record: &RecordedEvent, cursor: Cursor) -> Result<Vec<Message>, MapError> {
        let events = self.mappings.apply(record, cursor)?;
        Ok((0..).zip(events).map(|(ordinal, event)| Message::new(record, cursor, ordinal, event)).collect())
    }

    /// What [`Outbox::publishes`] was told.
    pub(crate) fn published_types(&self) -> &[String] {
        &self.types
    }

    /// Starts the relay: a task that follows `log` and keeps its note in `notes`. Returns at once; the broker need not
    /// be there.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use = "dropping the relay stops it"]
    pub fn start(self, log: Arc<dyn EventStore>, notes: Arc<dyn Checkpoints>) -> Relay {
        Relay::start(self, log, notes)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("destination", &self.publisher.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
