//! What a caller hands in.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{error::Invalid, limits, metadata::Metadata, text};

#[cfg(test)]
mod tests;

/// A moment: microseconds since 1970-01-01T00:00:00Z. Displayed as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    /// Reads what [`Display`](fmt::Display) writes, and any other time in RFC 3339 that has no more than microseconds.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let time: Option<jiff::Timestamp> = text.parse().ok();
        let time = time.filter(|time| time.subsec_nanosecond() % 1000 == 0);
        let time =
            time.ok_or_else(|| Invalid::Other { why: format!("`{text}` is no time (RFC 3339, to microseconds)") })?;
        Ok(Self(time.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// The identity of an event, unique in all stores; a UUID, version 7 unless the caller derives another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// Wraps a UUID.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// A fresh version 7 UUID (RFC 9562) from the system's clock and randomness: a convenience for callers outside a
    /// decision. Inside one, ids derive from the command, so that deciding again gives them again.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where an event id is made from nothing")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({})", self.0)
    }
}

/// What kind of event: a declared name and the version of its payload's shape, from 1. `money-deposited`, version 2.
///
/// The name is what queries match; the version tells a reader how to decode the payload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct EventType {
    name: Cow<'static, str>,
    version: u16,
}

/// An event type as it is deserialised: it may have come from anywhere.
#[derive(Deserialize)]
#[serde(rename = "EventType")]
struct Unchecked {
    name: String,
    version: u16,
}

impl TryFrom<Unchecked> for EventType {
    type Error = Invalid;
    fn try_from(Unchecked { name, version }: Unchecked) -> Result<Self, Invalid> {
        Self::versioned(name, version)
    }
}

impl EventType {
    /// A name known at compile time, version 1.
    ///
    /// # Errors
    /// [`Invalid`] when the name is empty, longer than [`TYPE_BYTES_MAX`](crate::TYPE_BYTES_MAX) bytes, holds a control
    /// character or begins with `$`.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, Invalid> {
        Self::versioned(name, 1)
    }

    /// A name and the version of its payload's shape, from 1.
    ///
    /// # Errors
    /// As [`EventType::new`], and for version 0.
    pub fn versioned(name: impl Into<Cow<'static, str>>, version: u16) -> Result<Self, Invalid> {
        let name = name.into();
        text::check("event type", &name, limits::TYPE_BYTES_MAX)?;
        if name.starts_with('$') {
            return Err(Invalid::Reserved { what: "event type", value: name.into_owned() });
        }
        if version == 0 {
            return Err(Invalid::EventVersionZero { name: name.into_owned() });
        }
        Ok(Self { name, version })
    }

    /// The type of the store's own record of a keyed commit without events.
    #[must_use]
    pub const fn system() -> Self {
        Self { name: Cow::Borrowed("$commit"), version: 1 }
    }

    /// The declared name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the payload's shape, from 1.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.version)
    }
}

/// A mark by which an event can be found across streams: `customer:07592`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

text::text_newtype!(Tag, |value| text::check("tag", value, limits::NAME_BYTES_MAX));

/// How a payload is encoded: a media type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ContentType(Cow<'static, str>);

impl TryFrom<String> for ContentType {
    type Error = Invalid;
    fn try_from(value: String) -> Result<Self, Invalid> {
        Self::new(value)
    }
}

impl ContentType {
    /// `application/json`, the default.
    pub const JSON: Self = Self(Cow::Borrowed("application/json"));
    /// `application/octet-stream`: bytes that only the application understands.
    pub const BYTES: Self = Self(Cow::Borrowed("application/octet-stream"));

    /// Any other media type.
    ///
    /// # Errors
    /// [`Invalid`] when it is empty, longer than [`TYPE_BYTES_MAX`](crate::TYPE_BYTES_MAX) bytes or holds a control character.
    pub fn new(value: impl Into<Cow<'static, str>>) -> Result<Self, Invalid> {
        let value = value.into();
        text::check("content type", &value, limits::TYPE_BYTES_MAX)?;
        Ok(Self(value))
    }

    /// The media type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its identity.
    pub id: EventId,
    /// Its kind.
    pub event_type: EventType,
    /// How the payload is encoded.
    pub content_type: ContentType,
    /// Marks by which it can be found.
    pub tags: Vec<Tag>,
    /// Its circumstances.
    pub metadata: Metadata,
    /// Its meaning, encoded.
    pub payload: Bytes,
}

impl NewEvent {
    /// An event with a JSON payload, no tags and no metadata.
    #[must_use]
    pub fn new(id: EventId, event_type: EventType, payload: impl Into<Bytes>) -> Self {
        Self {
            id,
            event_type,
            content_type: ContentType::JSON,
            tags: Vec::new(),
            metadata: Metadata::default(),
            payload: payload.into(),
        }
    }

    /// The same event with these tags.
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags = tags.into_iter().collect();
        self
    }

    /// The same event with this metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same event with its payload in another encoding.
    #[must_use]
    pub fn with_content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = content_type;
        self
    }
}
