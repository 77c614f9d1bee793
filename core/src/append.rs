//! The atomic unit of writing.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{
    error::{AppendError, Invalid},
    event::NewEvent,
    limits,
    position::{Cursor, Position, Version},
    query::{Condition, Query},
    record,
    stream::StreamId,
    text,
};

/// What a stream must look like for an append to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Expected {
    /// Anything.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has events.
    StreamExists,
    /// The stream's last event has exactly this version; `Exact(Version::ZERO)` is the same as `NoStream`.
    Exact(Version),
}

impl Expected {
    /// Whether a stream whose last version is `actual` (zero: no such stream) is as expected.
    #[must_use]
    pub fn holds(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::ZERO,
            Self::StreamExists => actual > Version::ZERO,
            Self::Exact(version) => actual == version,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::StreamExists => f.write_str("an existing stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}

/// The key under which an append is recorded once: an identifier, unique within a scope.
///
/// The scope keeps apart what different callers number for themselves: the name of an aggregate's stream, a saga, a
/// source of messages. Both are UTF-8, at most [`NAME_BYTES_MAX`](crate::NAME_BYTES_MAX) bytes, without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    scope: Arc<str>,
    id: Arc<str>,
}

impl Key {
    /// The key `id` within `scope`.
    ///
    /// # Errors
    /// [`Invalid`] when either is empty, too long or holds a control character.
    pub fn new(scope: impl Into<Arc<str>>, id: impl Into<Arc<str>>) -> Result<Self, Invalid> {
        let (scope, id) = (scope.into(), id.into());
        text::check("key scope", &scope, limits::NAME_BYTES_MAX)?;
        text::check("key", &id, limits::NAME_BYTES_MAX)?;
        Ok(Self { scope, id })
    }

    /// Who numbers.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The number, or whatever identifies the append within the scope.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope, self.id)
    }
}

/// A hash of what a keyed append was asked to do (the command, not generated ids or times), chosen by the caller.
///
/// The same key with the same fingerprint is a repetition and gets the recorded outcome; with another it is a mistake.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Wraps a hash.
    #[must_use]
    pub const fn new(hash: [u8; 16]) -> Self {
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What makes an append recognisable when it comes again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyed {
    /// The key.
    pub key: Key,
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// What to answer a repetition with, beside the positions: the reply, encoded by the caller.
    pub reply: Bytes,
}

/// One stream's part of an append. Without events it is a guard: a condition on a stream that is not written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The stream.
    pub stream: StreamId,
    /// What the stream must look like, the entries before this one in the same append included.
    pub expected: Expected,
    /// What is added to it, in order.
    pub events: Vec<NewEvent>,
}

/// An append: one or several streams' events, recorded together or not at all, in the order given.
///
/// ```
/// # use annalist_core::{Append, EventId, EventType, Expected, NewEvent, StreamId, Version};
/// let opened = NewEvent::new(EventId::generate(), EventType::new("account-opened")?, "{}");
/// let append = Append::new()
///     .events(StreamId::new("account-1")?, Expected::NoStream, [opened])
///     .guard(StreamId::new("branch-7")?, Expected::Exact(Version::new(3)));
/// assert!(append.check().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Append {
    /// What is written and what is guarded, in order.
    pub entries: Vec<Entry>,
    /// What must not be in the log. The append's own events do not count.
    pub conditions: Vec<Condition>,
    /// Makes it recognisable when it comes again.
    pub keyed: Option<Keyed>,
}

impl Append {
    /// An empty append; useless until it has an entry, a condition or a key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds events to a stream.
    #[must_use]
    pub fn events(mut self, stream: StreamId, expected: Expected, events: impl IntoIterator<Item = NewEvent>) -> Self {
        self.entries.push(Entry { stream, expected, events: events.into_iter().collect() });
        self
    }

    /// Adds a condition on a stream that this append does not write.
    #[must_use]
    pub fn guard(self, stream: StreamId, expected: Expected) -> Self {
        self.events(stream, expected, [])
    }

    /// Adds a condition: nothing that matches `query` may stand behind `after`, which is what the decision has seen (the
    /// [`head`](crate::Batches::head) of what was read). With [`Cursor::START`] nothing at all may match.
    ///
    /// ```
    /// # use annalist_core::{Append, Cursor, EventId, EventType, Expected, NewEvent, Query, StreamId, Tag};
    /// # let home = StreamId::new("user-7")?;
    /// let name = Tag::new("username:ada")?;
    /// let registered = NewEvent::new(EventId::generate(), EventType::new("user-registered")?, "{}");
    /// let append = Append::new()
    ///     .events(home, Expected::NoStream, [registered.with_tags([name.clone()])])
    ///     .unless(Query::tags([name]), Cursor::START);
    /// assert!(append.check().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn unless(mut self, query: impl Into<Query>, after: Cursor) -> Self {
        self.conditions.push(Condition { query: query.into(), after });
        self
    }

    /// Records the append once: repeated with the same key and fingerprint it is answered with what was recorded, and
    /// `reply` comes back with it.
    #[must_use]
    pub fn keyed(mut self, key: Key, fingerprint: Fingerprint, reply: impl Into<Bytes>) -> Self {
        self.keyed = Some(Keyed { key, fingerprint, reply: reply.into() });
        self
    }

    /// How many events it adds.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.entries.iter().map(|entry| entry.events.len()).sum()
    }

    /// The bytes that it occupies, about: bodies of the records, and the reply.
    #[must_use]
    pub fn byte_count(&self) -> usize {
        let events = self
            .entries
            .iter()
            .flat_map(|entry| entry.events.iter().map(|event| record::body_len(&entry.stream, event)));
        events.sum::<usize>() + self.keyed.as_ref().map_or(0, |keyed| keyed.reply.len())
    }

    /// Checks the append against the limits and returns [`Append::byte_count`]. Every store does this first.
    ///
    /// # Errors
    /// [`AppendError::Invalid`] when there is nothing to do; [`AppendError::TooLarge`] names the limit that is exceeded.
    pub fn check(&self) -> Result<usize, AppendError> {
        if self.entries.is_empty() && self.conditions.is_empty() && self.keyed.is_none() {
            return Err(Invalid::EmptyAppend.into());
        }
        at_most("streams in one append", self.entries.len(), limits::APPEND_ENTRIES_MAX)?;
        at_most("events in one append", self.event_count(), limits::APPEND_EVENTS_MAX)?;
        at_most("conditions on one append", self.conditions.len(), limits::APPEND_CONDITIONS_MAX)?;
        self.conditions.iter().try_for_each(|condition| condition.query.check())?;
        for stream in self.entries.iter().map(|entry| &entry.stream) {
            if stream.as_str().starts_with('$') {
                return Err(Invalid::Reserved { what: "stream", value: stream.to_string() }.into());
            }
        }
        for event in self.entries.iter().flat_map(|entry| &entry.events) {
            if event.event_type.name().starts_with('$') {
                return Err(Invalid::Reserved { what: "event type", value: event.event_type.name().to_owned() }.into());
            }
            at_most("tags of one event", event.tags.len(), limits::EVENT_TAGS_MAX)?;
            at_most("bytes of one event's payload", event.payload.len(), limits::PAYLOAD_BYTES_MAX)?;
            at_most("bytes of one event's metadata", event.metadata.encoded_len(), limits::METADATA_BYTES_MAX)?;
            if event.metadata.pairs.keys().any(|name| name.contains('\0')) {
                return Err(Invalid::ControlCharacter { what: "name of a metadata pair", at: 0 }.into());
            }
        }
        if let Some(keyed) = &self.keyed {
            at_most("bytes of the reply", keyed.reply.len(), limits::OUTCOME_BYTES_MAX)?;
        }
        let bytes = self.byte_count();
        at_most("bytes of one append", bytes, limits::APPEND_BYTES_MAX)?;
        Ok(bytes)
    }
}

fn at_most(what: &'static str, actual: usize, limit: usize) -> Result<(), AppendError> {
    if actual > limit { Err(AppendError::TooLarge { what, actual, limit }) } else { Ok(()) }
}

/// What was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The position before the first recorded event; the events stand at `after.next() ..= cursor.position`.
    pub after: Position,
    /// The position of the last recorded event: wait for it to read your own write.
    pub cursor: Cursor,
    /// The streams that were written and the last version of each, in the order of their first event. A keyed append
    /// without events writes [`SYSTEM_STREAM`](crate::SYSTEM_STREAM).
    pub streams: Vec<(StreamId, Version)>,
    /// Whether this is the answer to a repetition: recorded before, not now.
    pub repeated: bool,
}

/// What the store remembers of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// The reply that was recorded with it.
    pub reply: Bytes,
    /// What was recorded, marked as repeated.
    pub appended: Appended,
}
