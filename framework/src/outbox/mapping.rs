//! From domain events to integration events.

use annalist_core::{Cursor, RecordedEvent};

use super::{limits::INTEGRATION_EVENTS_PER_EVENT_MAX, message::IntegrationEvent};
use crate::event::{Declared, DecodeError, Events, Recorded};

/// Why a domain event could not be mapped. The relay stops there: leaving it out would be a hole that nobody sees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct MapError {
    detail: String,
}

impl MapError {
    /// With an explanation for the operator.
    #[must_use]
    pub fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into() }
    }
}

impl From<DecodeError> for MapError {
    fn from(error: DecodeError) -> Self {
        Self::new(error.to_string())
    }
}

/// What a mapping function may return: integration events, or a result of them.
pub trait Mapped {
    /// The integration events, in the order in which they are published; none to keep the domain event private.
    ///
    /// # Errors
    /// What the function said.
    fn into_events(self) -> Result<Vec<IntegrationEvent>, MapError>;
}

impl Mapped for Vec<IntegrationEvent> {
    fn into_events(self) -> Result<Vec<IntegrationEvent>, MapError> {
        Ok(self)
    }
}

impl Mapped for Result<Vec<IntegrationEvent>, MapError> {
    fn into_events(self) -> Self {
        self
    }
}

type Map = dyn Fn(&RecordedEvent, Cursor) -> Result<Vec<IntegrationEvent>, MapError> + Send + Sync;

/// All mappings of one outbox, asked in the order in which they were added.
#[derive(Default)]
pub(super) struct Mappings {
    maps: Vec<Box<Map>>,
    /// The events that typed mappings look at.
    declared: Vec<Declared>,
    /// Whether a mapping looks at every event.
    untyped: bool,
}

impl Mappings {
    pub(super) fn add<M: Mapped>(&mut self, map: impl Fn(&RecordedEvent) -> M + Send + Sync + 'static) {
        self.untyped = true;
        self.maps.push(Box::new(move |record, _| map(record).into_events()));
    }

    pub(super) fn add_typed<E: Events, M: Mapped>(&mut self, map: impl Fn(&Recorded<E>) -> M + Send + Sync + 'static) {
        self.declared.extend(E::declared());
        self.maps.push(Box::new(move |record, cursor| {
            // Most events are not meant: they are not copied.
            match E::read(record)? {
                Some(event) => map(&Recorded { event, record: record.clone(), cursor }).into_events(),
                None => Ok(Vec::new()),
            }
        }));
    }

    /// What an event is mapped to. The store's own records are nobody's business.
    pub(super) fn apply(&self, record: &RecordedEvent, cursor: Cursor) -> Result<Vec<IntegrationEvent>, MapError> {
        let mut events = Vec::new();
        if record.is_system() {
            return Ok(events);
        }
        for map in &self.maps {
            events.append(&mut map(record, cursor)?);
        }
        if events.len() > INTEGRATION_EVENTS_PER_EVENT_MAX {
            let (count, max) = (events.len(), INTEGRATION_EVENTS_PER_EVENT_MAX);
            return Err(MapError::new(format!(
                "it was mapped to {count} integration events; at most {max} are allowed"
            )));
        }
        Ok(events)
    }

    /// The events that are looked at; `None` if it is all of them.
    pub(super) fn declared(&self) -> Option<&[Declared]> {
        (!self.untyped).then_some(&*self.declared)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }
}
