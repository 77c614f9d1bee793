//! What comes in.

use std::collections::BTreeMap;

use annalist_core::Metadata;
use bytes::Bytes;

use crate::outbox::Message;

/// A message of another service, as its CloudEvents attributes describe it, whatever broker brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its identity within its source: the same whenever it comes again.
    pub id: String,
    /// Who sent it: a URI of the service.
    pub source: String,
    /// Its public type; `orders.order-placed.v1` if an outbox of Annalist published it.
    pub event_type: String,
    /// What it is about, if that was said.
    pub subject: Option<String>,
    /// When it happened, in RFC 3339, if that was said.
    pub time: Option<String>,
    /// The media type of `data`, if that was said.
    pub content_type: Option<String>,
    /// Correlation, causation and trace context; what its sender's events say of themselves.
    pub metadata: Metadata,
    /// All other attributes, by their lower-case names.
    pub attributes: BTreeMap<String, String>,
    /// The payload.
    pub data: Bytes,
}

impl Incoming {
    /// A message with the attributes that every one has.
    #[must_use]
    pub fn new(id: impl Into<String>, source: impl Into<String>, event_type: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            event_type: event_type.into(),
            subject: None,
            time: None,
            content_type: None,
            metadata: Metadata::default(),
            attributes: BTreeMap::new(),
            data: Bytes::new(),
        }
    }

    /// What an outbox's message is to whom it is delivered, with `source` as its sender.
    #[must_use]
    pub fn from_message(message: &Message, source: impl Into<String>) -> Self {
        let Message { event, metadata, .. } = message;
        let metadata = Metadata {
            correlation_id: metadata.correlation_id.clone(),
            causation_id: metadata.causation_id.clone(),
            traceparent: metadata.traceparent.clone(),
            tracestate: metadata.tracestate.clone(),
            ..Metadata::default()
        };
        Self {
            subject: Some(event.subject.clone()),
            time: Some(message.time.to_string()),
            content_type: Some(event.content_type.to_owned()),
            metadata,
            attributes: BTreeMap::from([("sequence".to_owned(), message.version.to_string())]),
            data: event.data.clone(),
            ..Self::new(message.id(), source, event.event_type.clone())
        }
    }

    /// The declared name and the version in the type `name.vN`; a type that does not end so is in version 1.
    #[must_use]
    pub fn name_and_version(&self) -> (&str, u16) {
        let split = self.event_type.rsplit_once(".v");
        let versioned = split.and_then(|(name, version)| Some((name, version.parse().ok()?)));
        versioned.unwrap_or((&self.event_type, 1))
    }

    /// What keeps messages in order unless an inbox is told otherwise: source and subject; without a subject, the id.
    #[must_use]
    pub(super) fn default_key(&self) -> String {
        let (kind, what) = self.subject.as_ref().map_or(("id", &self.id), |subject| ("subject", subject));
        format!("{}:{}/{kind}/{what}", self.source.len(), self.source)
    }
}

/// Something was delivered that is not a message: an attribute is missing, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a CloudEvents message: {detail}")]
pub struct Malformed {
    /// What is wrong.
    pub detail: String,
    /// Its payload as it came.
    pub data: Bytes,
}
