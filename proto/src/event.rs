//! Events on their way in and out.

use annalist_core::{
    Body, ContentType, EventId, EventType, Invalid, Metadata, NewEvent, Position, RecordedEvent, StoreError, Timestamp,
    Version,
};

use crate::{
    cursor::{bytes_of, event_id, malformed},
    query, v1,
};

impl From<Metadata> for v1::Metadata {
    fn from(metadata: Metadata) -> Self {
        let Metadata { correlation_id, causation_id, actor, tenant, traceparent, tracestate, pairs } = metadata;
        let pairs = pairs.into_iter().collect();
        Self { correlation_id, causation_id, actor, tenant, traceparent, tracestate, pairs }
    }
}

impl From<v1::Metadata> for Metadata {
    fn from(metadata: v1::Metadata) -> Self {
        let v1::Metadata { correlation_id, causation_id, actor, tenant, traceparent, tracestate, pairs } = metadata;
        let pairs = pairs.into_iter().collect();
        Self { correlation_id, causation_id, actor, tenant, traceparent, tracestate, pairs }
    }
}

/// Metadata as an optional field: what is empty is not sent.
fn sent(metadata: Metadata) -> Option<Box<v1::Metadata>> {
    (!metadata.is_empty()).then(|| Box::new(metadata.into()))
}

impl From<&NewEvent> for v1::NewEvent {
    fn from(event: &NewEvent) -> Self {
        let content_type = if event.content_type == ContentType::JSON { "" } else { event.content_type.as_str() };
        Self {
            id: bytes_of(event.id.uuid()),
            r#type: event.event_type.name().to_owned(),
            type_version: event.event_type.version().into(),
            content_type: content_type.to_owned(),
            tags: event.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            metadata: (!event.metadata.is_empty()).then(|| Box::new(event.metadata.clone().into())),
            payload: event.payload.clone(),
        }
    }
}

/// The version of an event's type as it is sent: 0 is 1.
pub(crate) fn type_version(name: &str, version: u64) -> Result<u16, Invalid> {
    u16::try_from(version.max(1)).map_err(|_| {
        malformed(format!("the event type `{name}` has version {version}; at most {} is allowed", u16::MAX))
    })
}

impl TryFrom<v1::NewEvent> for NewEvent {
    type Error = Invalid;
    fn try_from(event: v1::NewEvent) -> Result<Self, Invalid> {
        let id = if event.id.is_empty() { EventId::generate() } else { event_id(&event.id)? };
        let version = type_version(&event.r#type, event.type_version.into())?;
        let new = Self::new(id, EventType::versioned(event.r#type, version)?, event.payload)
            .with_tags(query::tags(event.tags)?)
            .with_metadata(event.metadata.map(|metadata| (*metadata).into()).unwrap_or_default());
        match event.content_type {
            json if json.is_empty() => Ok(new),
            other => Ok(new.with_content_type(ContentType::new(other)?)),
        }
    }
}

impl From<&RecordedEvent> for v1::RecordedEvent {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            position: event.position.get(),
            version: event.version.get(),
            time_us: event.time.as_micros(),
            id: bytes_of(event.id.uuid()),
            stream: event.stream().to_owned(),
            r#type: event.type_name().to_owned(),
            type_version: event.type_version().into(),
            content_type: event.content_type().to_owned(),
            tags: event.tags().map(str::to_owned).collect(),
            metadata: sent(event.metadata()),
            payload: event.payload_bytes(),
        }
    }
}

impl From<&RecordedEvent> for v1::StoredEvent {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            position: event.position.get(),
            version: event.version.get(),
            time_us: event.time.as_micros(),
            id: bytes_of(event.id.uuid()),
            body: event.body().bytes().clone(),
        }
    }
}

/// The body is checked: what does not hold together is damage, not an event.
impl TryFrom<v1::StoredEvent> for RecordedEvent {
    type Error = StoreError;
    fn try_from(event: v1::StoredEvent) -> Result<Self, StoreError> {
        let position = Position::new(event.position);
        let damaged = |detail: String| StoreError::Corrupt { position, detail };
        let id = event_id(&event.id).map_err(|error| damaged(error.to_string()))?;
        let body = Body::decode(event.body).map_err(|error| damaged(error.to_string()))?;
        Ok(Self::new(position, Version::new(event.version), Timestamp::from_micros(event.time_us), id, body))
    }
}
