//! What leaves the service.

use annalist_core::{Cursor, EventId, Metadata, RecordedEvent, Timestamp, Version};
use bytes::Bytes;
use serde::Serialize;

use super::mapping::MapError;
use crate::event::EventSet;

/// A public fact that other services may rely on: what a mapping makes of a domain event.
///
/// It is a contract of its own, so that domain events stay private and can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationEvent {
    /// Its public type with its version, for example `orders.order-placed.v1`; the CloudEvents attribute `type`.
    pub event_type: String,
    /// What it is about, for example the order's number; the CloudEvents attribute `subject`.
    pub subject: String,
    /// The media type of `data`.
    pub content_type: &'static str,
    /// The payload.
    pub data: Bytes,
}

impl IntegrationEvent {
    /// An integration event that is declared by `#[derive(Event)]`, like those of the domain: its type is `name.vN`, with the
    /// declared name and version. Whoever declares the same names can read it, in an [inbox](crate::inbox).
    ///
    /// # Errors
    /// [`MapError`] when it cannot be written as JSON.
    pub fn of<E: EventSet>(event: &E, subject: impl Into<String>) -> Result<Self, MapError> {
        let (name, version) = event.event_type();
        let data = event.encode().map_err(|error| MapError::new(error.to_string()))?;
        let event_type = format!("{name}.v{version}");
        Ok(Self { event_type, subject: subject.into(), content_type: "application/json", data })
    }

    /// An event with a JSON payload.
    ///
    /// # Errors
    /// [`MapError`] when the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(
        event_type: impl Into<String>,
        subject: impl Into<String>,
        data: &T,
    ) -> Result<Self, MapError> {
        let data = serde_json::to_vec(data).map_err(|error| MapError::new(error.to_string()))?;
        Ok(Self {
            event_type: event_type.into(),
            subject: subject.into(),
            content_type: "application/json",
            data: data.into(),
        })
    }
}

/// An integration event on its way, with everything that makes it recognisable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The domain event that it was made of: where it stands in the log.
    pub cursor: Cursor,
    /// The domain event's identity.
    pub event_id: EventId,
    /// Which of the integration events of that domain event, from 0.
    pub ordinal: u32,
    /// When the domain event was recorded.
    pub time: Timestamp,
    /// The domain event's stream.
    pub stream: String,
    /// The domain event's version in its stream.
    pub version: Version,
    /// The domain event's circumstances: correlation, causation, trace context.
    pub metadata: Metadata,
    /// What is published.
    pub event: IntegrationEvent,
}

impl Message {
    /// The message number `ordinal` of what a domain event was mapped to.
    #[must_use]
    pub fn new(record: &RecordedEvent, cursor: Cursor, ordinal: u32, event: IntegrationEvent) -> Self {
        Self {
            cursor,
            event_id: record.id,
            ordinal,
            time: record.time,
            stream: record.stream().to_owned(),
            version: record.version,
            metadata: record.metadata(),
            event,
        }
    }

    /// The identity of the message, the same whenever it is published again: `event id` for ordinal 0, otherwise
    /// `event id.ordinal`.
    #[must_use]
    pub fn id(&self) -> String {
        match self.ordinal {
            0 => self.event_id.to_string(),
            ordinal => format!("{}.{ordinal}", self.event_id),
        }
    }

    /// The domain event's category: what stands before the first `-` of its stream.
    #[must_use]
    pub fn category(&self) -> &str {
        self.stream.split_once('-').map_or(&*self.stream, |(category, _)| category)
    }

    /// What stands behind the first `-` of the domain event's stream; empty for a name without one.
    #[must_use]
    pub fn identifier(&self) -> &str {
        self.stream.split_once('-').map_or("", |(_, identifier)| identifier)
    }

    /// The bytes that come from outside, roughly what the message weighs in memory and on the wire.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        self.event.data.len() + self.event.event_type.len() + self.event.subject.len() + self.stream.len()
    }
}
