//! The body of a record: how an event's names and payload lie in bytes.
//!
//! One layout for the pages of the store, for memory and for the wire, so that an event is encoded once and later only
//! sliced. All integers are little-endian; `docs/format.md` shows where the body stands in a page.
//!
//! | field | bytes | |
//! |---|---|---|
//! | stream length | u16 | |
//! | type length | u8 | |
//! | content type length | u8 | 0 means `application/json` |
//! | type version | u16 | from 1 |
//! | tags length | u16 | each tag: length u16, bytes |
//! | metadata length | u16 | fields as in `metadata.rs` |
//! | stream, type, content type, tags, metadata | | UTF-8 |
//! | payload | the rest | |

use bytes::Bytes;

use crate::{
    event::{ContentType, NewEvent},
    metadata::Metadata,
    stream::StreamId,
};

const HEAD_BYTES: usize = 10;

/// The bytes of a body are not a body; what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed record body: {0}")]
pub struct MalformedBody(&'static str);

/// A decoded body: the bytes and where its parts end. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    bytes: Bytes,
    stream_end: u32,
    type_end: u32,
    content_type_end: u32,
    tags_end: u32,
    metadata_end: u32,
    type_version: u16,
}

/// The number of bytes that [`encode_body`] writes.
#[must_use]
pub fn body_len(stream: &StreamId, event: &NewEvent) -> usize {
    let content_type = if event.content_type == ContentType::JSON { 0 } else { event.content_type.as_str().len() };
    HEAD_BYTES
        + stream.as_str().len()
        + event.event_type.name().len()
        + content_type
        + event.tags.iter().map(|tag| 2 + tag.as_str().len()).sum::<usize>()
        + event.metadata.encoded_len()
        + event.payload.len()
}

/// Appends the body of an event. The lengths fit because names and [`Append::check`](crate::Append::check) bound them.
pub fn encode_body(out: &mut Vec<u8>, stream: &StreamId, event: &NewEvent) {
    let content_type = if event.content_type == ContentType::JSON { "" } else { event.content_type.as_str() };
    let tags_len: usize = event.tags.iter().map(|tag| 2 + tag.as_str().len()).sum();
    out.extend_from_slice(&u16_len(stream.as_str().len()));
    out.push(u8_len(event.event_type.name().len()));
    out.push(u8_len(content_type.len()));
    out.extend_from_slice(&event.event_type.version().to_le_bytes());
    out.extend_from_slice(&u16_len(tags_len));
    out.extend_from_slice(&u16_len(event.metadata.encoded_len()));
    out.extend_from_slice(stream.as_str().as_bytes());
    out.extend_from_slice(event.event_type.name().as_bytes());
    out.extend_from_slice(content_type.as_bytes());
    for tag in &event.tags {
        out.extend_from_slice(&u16_len(tag.as_str().len()));
        out.extend_from_slice(tag.as_str().as_bytes());
    }
    event.metadata.encode(out);
    out.extend_from_slice(&event.payload);
}

fn u16_len(len: usize) -> [u8; 2] {
    debug_assert!(u16::try_from(len).is_ok(), "names, tags and metadata are bounded below 64 KiB");
    u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()
}

fn u8_len(len: usize) -> u8 {
    debug_assert!(u8::try_from(len).is_ok(), "types are bounded below 256 bytes");
    u8::try_from(len).unwrap_or(u8::MAX)
}

impl Body {
    /// Finds the parts of a body and checks that the names are UTF-8 and the tags whole.
    ///
    /// # Errors
    /// [`MalformedBody`] when the bytes are not what [`encode_body`] writes.
    pub fn decode(bytes: Bytes) -> Result<Self, MalformedBody> {
        let head = bytes.first_chunk::<HEAD_BYTES>().ok_or(MalformedBody("shorter than its head"))?;
        let [s0, s1, event_type, content_type, v0, v1, t0, t1, m0, m1] = *head;
        let le = |low, high| u32::from(u16::from_le_bytes([low, high]));
        let stream_end = 10 + le(s0, s1);
        let type_end = stream_end + u32::from(event_type);
        let content_type_end = type_end + u32::from(content_type);
        let tags_end = content_type_end + le(t0, t1);
        let metadata_end = tags_end + le(m0, m1);
        let type_version = u16::from_le_bytes([v0, v1]);
        let body = Self { bytes, stream_end, type_end, content_type_end, tags_end, metadata_end, type_version };
        if body.bytes.len() < metadata_end as usize {
            return Err(MalformedBody("shorter than its parts"));
        }
        let names = body.part(10, content_type_end);
        if stream_end == 10 || type_end == stream_end || type_version == 0 {
            return Err(MalformedBody("without a stream, a type or a version"));
        }
        // The names lie side by side: one check for all of them, then that no character straddles a border.
        let names = std::str::from_utf8(names).map_err(|_| MalformedBody("a name is not UTF-8"))?;
        let borders = [stream_end - 10, type_end - 10];
        if !borders.iter().all(|border| names.is_char_boundary(*border as usize)) {
            return Err(MalformedBody("a name is not UTF-8"));
        }
        if t0 | t1 != 0 && !tags_are_whole(body.part(content_type_end, tags_end)) {
            return Err(MalformedBody("a tag is cut short or not UTF-8"));
        }
        Ok(body)
    }

    /// The same in bytes of its own, rather than in those of a page.
    #[must_use]
    pub(crate) fn detached(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self.clone() }
    }

    fn part(&self, start: u32, end: u32) -> &[u8] {
        self.bytes.get(start as usize..end as usize).unwrap_or_default()
    }

    fn text(&self, start: u32, end: u32) -> &str {
        std::str::from_utf8(self.part(start, end)).expect("the names were checked when the body was decoded")
    }

    /// The stream's name.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.text(10, self.stream_end)
    }

    /// The declared name of the event's type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        self.text(self.stream_end, self.type_end)
    }

    /// The version of the payload's shape.
    #[must_use]
    pub const fn type_version(&self) -> u16 {
        self.type_version
    }

    /// How the payload is encoded.
    #[must_use]
    pub fn content_type(&self) -> &str {
        match self.text(self.type_end, self.content_type_end) {
            "" => "application/json",
            other => other,
        }
    }

    /// The tags, in the order in which they were given.
    pub fn tags(&self) -> impl Iterator<Item = &str> + Clone {
        Tags(self.part(self.content_type_end, self.tags_end)).filter_map(|tag| std::str::from_utf8(tag).ok())
    }

    /// The circumstances; damaged ones (which the record's checksum rules out) read as empty.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata::decode(self.part(self.tags_end, self.metadata_end)).unwrap_or_default()
    }

    /// The payload, as a slice.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.metadata_end as usize..).unwrap_or_default()
    }

    /// The payload, sharing the bytes of the page that it lies in.
    #[must_use]
    pub fn payload_bytes(&self) -> Bytes {
        self.bytes.slice(self.metadata_end as usize..)
    }

    /// The whole body as [`encode_body`] wrote it.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[derive(Clone)]
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let (tag, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        self.0 = rest;
        Some(tag)
    }
}

fn tags_are_whole(bytes: &[u8]) -> bool {
    let mut tags = Tags(bytes);
    tags.by_ref().all(|tag| std::str::from_utf8(tag).is_ok()) && tags.0.is_empty()
}
