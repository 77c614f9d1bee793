//! Appends that share a call, the messages of which there are most. They are written and read here without the structures that
//! other messages become in between: those would copy each name once more, on either side (docs/adr/0074).
//!
//! What goes over the wire is the message `AppendRequest` as `annalist.proto` has it, but for one thing that nobody sends: of a
//! message that stands where one is expected, and then again, the last one counts, and they are not merged.

mod fields;
mod reverse;

use annalist_core::{
    Append, Condition, ContentType, EventId, EventType, Expected, Invalid, Keyed, NewEvent, StreamId, Tag, body_len,
};
use bytes::Bytes;
use prost::Message;

use self::{
    fields::{Field, Fields, Malformed},
    reverse::Reverse,
};
use crate::{cursor::event_id, event::type_version, v1};

/// The message `PipelineRequest`, with the append in bytes.
#[derive(Clone, PartialEq, Message)]
pub struct PipelineRequest {
    /// Numbers count upwards from 1.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The message `AppendRequest`: what [`encode_append`] writes and [`decode_append`] reads.
    #[prost(bytes = "bytes", tag = "2")]
    pub append: Bytes,
    /// The trace that it is part of.
    #[prost(message, optional, tag = "3")]
    pub trace: Option<v1::TraceContext>,
}

/// The numbers of fields, as `annalist.proto` has them.
mod append {
    pub(super) const ENTRIES: u32 = 1;
    pub(super) const CONDITIONS: u32 = 2;
    pub(super) const KEYED: u32 = 3;
}

mod entry {
    pub(super) const STREAM: u32 = 1;
    pub(super) const EXPECTED: u32 = 2;
    pub(super) const EVENTS: u32 = 3;
}

mod event {
    pub(super) const ID: u32 = 1;
    pub(super) const TYPE: u32 = 2;
    pub(super) const TYPE_VERSION: u32 = 3;
    pub(super) const CONTENT_TYPE: u32 = 4;
    pub(super) const TAGS: u32 = 5;
    pub(super) const METADATA: u32 = 6;
    pub(super) const PAYLOAD: u32 = 7;
}

/// Room for what an event has beside its body, and for what stands before the parts of a message, in bytes. Where it is not enough,
/// more is made.
const EVENT_BYTES: usize = 64;

/// An append as the message `AppendRequest`.
#[must_use]
pub fn encode_append(append: &Append) -> Bytes {
    let events = append.entries.iter().flat_map(|entry| entry.events.iter().map(|event| (&entry.stream, event)));
    let events: usize = events.map(|(stream, event)| body_len(stream, event) + EVENT_BYTES).sum();
    let mut out = Reverse::with_capacity(events + EVENT_BYTES * (append.entries.len() + 1));
    if let Some(keyed) = &append.keyed {
        out.message(append::KEYED, |out| out.put(&v1::Keyed::from(keyed).encode_to_vec()));
    }
    for condition in append.conditions.iter().rev() {
        let condition = v1::Condition::from(condition.clone());
        out.message(append::CONDITIONS, |out| out.put(&condition.encode_to_vec()));
    }
    for entry in append.entries.iter().rev() {
        out.message(append::ENTRIES, |out| {
            for event in entry.events.iter().rev() {
                out.message(entry::EVENTS, |out| encode_event(event, out));
            }
            if entry.expected != Expected::Any {
                out.message(entry::EXPECTED, |out| out.put(&v1::Expected::from(entry.expected).encode_to_vec()));
            }
            out.bytes(entry::STREAM, entry.stream.as_str().as_bytes());
        });
    }
    out.finish()
}

fn encode_event(event: &NewEvent, out: &mut Reverse) {
    out.bytes(event::PAYLOAD, &event.payload);
    if !event.metadata.is_empty() {
        out.message(event::METADATA, |out| out.put(&v1::Metadata::from(event.metadata.clone()).encode_to_vec()));
    }
    for tag in event.tags.iter().rev() {
        out.message(event::TAGS, |out| out.put(tag.as_str().as_bytes()));
    }
    if event.content_type != ContentType::JSON {
        out.bytes(event::CONTENT_TYPE, event.content_type.as_str().as_bytes());
    }
    out.number(event::TYPE_VERSION, event.event_type.version().into());
    out.bytes(event::TYPE, event.event_type.name().as_bytes());
    out.bytes(event::ID, event.id.uuid().as_bytes());
}

/// The reverse of [`encode_append`]. Checks names and forms; whether it is within the limits is [`Append::check`]'s concern.
///
/// # Errors
/// [`Invalid`] when that is no such message, or one that says what cannot be.
pub fn decode_append(message: &Bytes) -> Result<Append, Invalid> {
    let mut append = Append::new();
    for field in Fields::of(message) {
        match field? {
            (append::ENTRIES, Field::Bytes(entry)) => append.entries.push(decode_entry(message, entry)?),
            (append::CONDITIONS, Field::Bytes(condition)) => {
                append.conditions.push(Condition::try_from(part::<v1::Condition>(message, condition)?)?);
            }
            (append::KEYED, Field::Bytes(keyed)) => {
                append.keyed = Some(Keyed::try_from(part::<v1::Keyed>(message, keyed)?)?);
            }
            (append::ENTRIES..=append::KEYED, _) => return Err(Malformed.into()),
            _ => {}
        }
    }
    Ok(append)
}

fn decode_entry(message: &Bytes, entry: &[u8]) -> Result<annalist_core::Entry, Invalid> {
    let (mut stream, mut expected, mut events) = ("", Expected::Any, Vec::new());
    for field in Fields::of(entry) {
        match field? {
            (entry::STREAM, Field::Bytes(name)) => stream = text(name)?,
            (entry::EXPECTED, Field::Bytes(version)) => {
                expected = Expected::try_from(part::<v1::Expected>(message, version)?)?;
            }
            (entry::EVENTS, Field::Bytes(event)) => {
                // Pushing one would make room for four: a kilobyte and more, and most entries have one.
                if events.is_empty() {
                    events.reserve_exact(1);
                }
                events.push(decode_event(message, event)?);
            }
            (entry::STREAM..=entry::EVENTS, _) => return Err(Malformed.into()),
            _ => {}
        }
    }
    Ok(annalist_core::Entry { stream: StreamId::new(stream)?, expected, events })
}

fn decode_event(message: &Bytes, event: &[u8]) -> Result<NewEvent, Invalid> {
    let (mut id, mut name, mut version, mut content_type) = (&[][..], "", 0, "");
    let (mut tags, mut metadata, mut payload) = (Vec::new(), None, &[][..]);
    for field in Fields::of(event) {
        match field? {
            (event::ID, Field::Bytes(bytes)) => id = bytes,
            (event::TYPE, Field::Bytes(bytes)) => name = text(bytes)?,
            (event::TYPE_VERSION, Field::Number(number)) => version = number,
            (event::CONTENT_TYPE, Field::Bytes(bytes)) => content_type = text(bytes)?,
            (event::TAGS, Field::Bytes(bytes)) => tags.push(Tag::new(text(bytes)?)?),
            (event::METADATA, Field::Bytes(bytes)) => metadata = Some(part::<v1::Metadata>(message, bytes)?),
            (event::PAYLOAD, Field::Bytes(bytes)) => payload = bytes,
            (event::ID..=event::PAYLOAD, _) => return Err(Malformed.into()),
            _ => {}
        }
    }
    let id = if id.is_empty() { EventId::generate() } else { event_id(id)? };
    let version = type_version(name, version)?;
    let event_type = EventType::versioned(name.to_owned(), version)?;
    let mut event = NewEvent::new(id, event_type, message.slice_ref(payload));
    event.tags = tags;
    if let Some(metadata) = metadata {
        event.metadata = metadata.into();
    }
    if !content_type.is_empty() {
        event.content_type = ContentType::new(content_type.to_owned())?;
    }
    Ok(event)
}

/// A message within the message, by what is generated for it.
fn part<M: Message + Default>(message: &Bytes, part: &[u8]) -> Result<M, Malformed> {
    M::decode(message.slice_ref(part)).map_err(|_| Malformed)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests;
