//! Appends and what was recorded.

use annalist_core::{
    Append, Appended, Condition, Entry, Expected, Fingerprint, Invalid, Key, Keyed, NewEvent, Outcome, Position,
    StreamId, Version,
};
use bytes::Bytes;

use crate::{
    cursor::{malformed, required},
    query, v1,
};

impl From<&Append> for v1::AppendRequest {
    fn from(append: &Append) -> Self {
        Self {
            entries: append.entries.iter().map(Into::into).collect(),
            conditions: append.conditions.iter().cloned().map(Into::into).collect(),
            keyed: append.keyed.as_ref().map(Into::into),
        }
    }
}

/// Checks names and forms; whether it is within the limits is [`Append::check`]'s concern.
impl TryFrom<v1::AppendRequest> for Append {
    type Error = Invalid;
    fn try_from(request: v1::AppendRequest) -> Result<Self, Invalid> {
        let mut append = Self::new();
        append.entries = request.entries.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
        append.conditions = request.conditions.into_iter().map(Condition::try_from).collect::<Result<_, _>>()?;
        append.keyed = request.keyed.map(Keyed::try_from).transpose()?;
        Ok(append)
    }
}

impl From<&Entry> for v1::Entry {
    fn from(entry: &Entry) -> Self {
        Self {
            stream: entry.stream.as_str().to_owned(),
            expected: (entry.expected != Expected::Any).then(|| entry.expected.into()),
            events: entry.events.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Entry> for Entry {
    type Error = Invalid;
    fn try_from(entry: v1::Entry) -> Result<Self, Invalid> {
        // Collecting would make room for four: a kilobyte and more, and most entries have one.
        let mut events = Vec::with_capacity(entry.events.len());
        for event in entry.events {
            events.push(NewEvent::try_from(event)?);
        }
        let expected = entry.expected.map_or(Ok(Expected::Any), Expected::try_from)?;
        Ok(Self { stream: StreamId::new(entry.stream)?, expected, events })
    }
}

impl From<&Key> for v1::Key {
    fn from(key: &Key) -> Self {
        Self { scope: key.scope().to_owned(), id: key.id().to_owned() }
    }
}

impl TryFrom<v1::Key> for Key {
    type Error = Invalid;
    fn try_from(key: v1::Key) -> Result<Self, Invalid> {
        Self::new(key.scope, key.id)
    }
}

impl From<&Keyed> for v1::Keyed {
    fn from(keyed: &Keyed) -> Self {
        let fingerprint = Bytes::copy_from_slice(keyed.fingerprint.as_bytes());
        Self { key: Some((&keyed.key).into()), fingerprint, reply: keyed.reply.clone() }
    }
}

impl TryFrom<v1::Keyed> for Keyed {
    type Error = Invalid;
    fn try_from(keyed: v1::Keyed) -> Result<Self, Invalid> {
        let key = required("key", keyed.key)?.try_into()?;
        let fingerprint =
            if keyed.fingerprint.is_empty() { Fingerprint::new([0; 16]) } else { fingerprint(&keyed.fingerprint)? };
        Ok(Self { key, fingerprint, reply: keyed.reply })
    }
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, Invalid> {
    let hash = <[u8; 16]>::try_from(bytes);
    hash.map(Fingerprint::new)
        .map_err(|_| malformed(format!("the fingerprint has {} bytes; it must have 16, or none", bytes.len())))
}

/// A stream and its last version.
#[must_use]
pub fn stream_version((stream, version): (StreamId, Version)) -> v1::StreamVersion {
    v1::StreamVersion { stream: stream.as_str().to_owned(), version: version.get() }
}

/// The reverse.
///
/// # Errors
/// [`Invalid`] when that is no name of a stream.
pub fn stored_stream_version(found: v1::StreamVersion) -> Result<(StreamId, Version), Invalid> {
    Ok((query::stream(found.stream)?, Version::new(found.version)))
}

impl From<Appended> for v1::Appended {
    fn from(appended: Appended) -> Self {
        Self {
            after: appended.after.get(),
            cursor: Some(appended.cursor.into()),
            streams: appended.streams.into_iter().map(stream_version).collect(),
            repetition: appended.repeated,
        }
    }
}

impl TryFrom<v1::Appended> for Appended {
    type Error = Invalid;
    fn try_from(appended: v1::Appended) -> Result<Self, Invalid> {
        Ok(Self {
            after: Position::new(appended.after),
            cursor: required("cursor of the append", appended.cursor)?.try_into()?,
            streams: appended.streams.into_iter().map(stored_stream_version).collect::<Result<_, Invalid>>()?,
            repeated: appended.repetition,
        })
    }
}

impl From<Outcome> for v1::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            fingerprint: Bytes::copy_from_slice(outcome.fingerprint.as_bytes()),
            reply: outcome.reply,
            appended: Some(outcome.appended.into()),
        }
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = Invalid;
    fn try_from(outcome: v1::Outcome) -> Result<Self, Invalid> {
        Ok(Self {
            fingerprint: fingerprint(&outcome.fingerprint)?,
            reply: outcome.reply,
            appended: required("append of the outcome", outcome.appended)?.try_into()?,
        })
    }
}
