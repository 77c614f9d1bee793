//! What comes out.

use std::fmt;

use bytes::Bytes;

use crate::{
    event::{EventId, NewEvent, Timestamp},
    metadata::Metadata,
    position::{Position, Version},
    record::{self, Body},
    stream::{StreamId, category},
};

/// An event as the log holds it. Cloning is cheap: the names and the payload share the bytes of the page they lie in.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its place in its stream.
    pub version: Version,
    /// When it was recorded; never before the event at an earlier position.
    pub time: Timestamp,
    /// Its identity.
    pub id: EventId,
    body: Body,
}

impl RecordedEvent {
    /// Puts together what a store has decoded.
    #[must_use]
    pub const fn new(position: Position, version: Version, time: Timestamp, id: EventId, body: Body) -> Self {
        Self { position, version, time, id, body }
    }

    /// Records a new event: what a store without pages does with it.
    ///
    /// # Panics
    /// Never: a body that was just encoded can be decoded.
    #[must_use]
    pub fn record(stream: &StreamId, event: &NewEvent, position: Position, version: Version, time: Timestamp) -> Self {
        let mut bytes = Vec::with_capacity(record::body_len(stream, event));
        record::encode_body(&mut bytes, stream, event);
        let body = Body::decode(bytes.into()).expect("a body that was just encoded can be decoded");
        Self::new(position, version, time, event.id, body)
    }

    /// The stream's name.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.body.stream()
    }

    /// The stream's name as an owned id.
    #[must_use]
    pub fn stream_id(&self) -> StreamId {
        StreamId::recorded(self.body.stream())
    }

    /// The stream's category: what stands before the first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        category(self.body.stream())
    }

    /// The declared name of its type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        self.body.type_name()
    }

    /// The version of its payload's shape.
    #[must_use]
    pub const fn type_version(&self) -> u16 {
        self.body.type_version()
    }

    /// How the payload is encoded.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.body.content_type()
    }

    /// Its tags, in the order in which they were given.
    pub fn tags(&self) -> impl Iterator<Item = &str> + Clone {
        self.body.tags()
    }

    /// Its circumstances, decoded at each call.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.body.metadata()
    }

    /// Its payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.body.payload()
    }

    /// Its body: names, tags, metadata and payload as they are encoded.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The bytes of its body as they are encoded: names, tags, metadata and payload.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.bytes().len()
    }

    /// The same event in bytes of its own: it does not keep the page that it lies in in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { body: self.body.detached(), ..self.clone() }
    }

    /// Its payload, sharing the bytes of the page that it lies in (and so keeping that page in memory).
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.body.payload_bytes()
    }

    /// Whether the store wrote it for itself: the record of a keyed commit without events.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.body.stream().starts_with('$')
    }
}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedEvent")
            .field("position", &self.position)
            .field("stream", &self.stream())
            .field("version", &self.version)
            .field("type", &format_args!("{}.v{}", self.type_name(), self.type_version()))
            .field("id", &self.id)
            .field("time", &format_args!("{}", self.time))
            .field("payload", &String::from_utf8_lossy(self.payload()))
            .finish_non_exhaustive()
    }
}
