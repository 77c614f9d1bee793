//! What a page consists of: frames, which open a commit, and records, which are events.
//!
//! | field | bytes | |
//! |---|---|---|
//! | length | u32 | of what follows the checksum |
//! | checksum | u32 | CRC-32 of what follows |
//! | kind | u8 | 1 frame, 2 record |
//! | content | | |

use annalist_core::{
    Append, Body, EventId, Fingerprint, NewEvent, Position, RecordedEvent, StreamId, Timestamp, Version,
};
use bytes::Bytes;

/// Length and checksum.
pub(super) const ITEM_HEAD_BYTES: usize = 8;
const RECORD_HEAD_BYTES: usize = 1 + 8 + 8 + 16;

/// What an item is. Retired numbers stay reserved.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Frame = 1,
    Record = 2,
}

/// The frame's flag for a commit with a key.
const FLAG_KEYED: u8 = 1;

/// The beginning of a commit: how many events follow, and the key under which it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The events of the commit; they may go on into the next pages.
    pub(crate) count: u32,
    /// The key, if it has one.
    pub(crate) keyed: Option<FrameKey>,
}

/// The key of a commit, sharing the bytes of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameKey {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) scope: Bytes,
    pub(crate) id: Bytes,
    pub(crate) reply: Bytes,
}

/// One decoded item of a page.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Frame(Frame),
    Record(RecordedEvent),
}

/// Appends the frame of an append that will record `count` events.
pub(super) fn encode_frame(out: &mut Vec<u8>, append: &Append, count: u32) {
    let start = begin(out, Kind::Frame);
    out.extend_from_slice(&count.to_le_bytes());
    match &append.keyed {
        None => out.push(0),
        Some(keyed) => {
            out.push(FLAG_KEYED);
            out.extend_from_slice(keyed.fingerprint.as_bytes());
            for name in [keyed.key.scope(), keyed.key.id()] {
                out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
                out.extend_from_slice(name.as_bytes());
            }
            out.extend_from_slice(&keyed.reply);
        }
    }
    finish(out, start);
}

/// Appends the record of an event.
pub(super) fn encode_record(out: &mut Vec<u8>, stream: &StreamId, event: &NewEvent, version: Version, time: Timestamp) {
    let start = begin(out, Kind::Record);
    out.extend_from_slice(&version.get().to_le_bytes());
    out.extend_from_slice(&time.as_micros().to_le_bytes());
    out.extend_from_slice(event.id.uuid().as_bytes());
    annalist_core::encode_body(out, stream, event);
    finish(out, start);
}

fn begin(out: &mut Vec<u8>, kind: Kind) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; ITEM_HEAD_BYTES]);
    out.push(kind as u8);
    start
}

fn finish(out: &mut [u8], start: usize) {
    let Some((head, content)) = out.get_mut(start..).and_then(|item| item.split_first_chunk_mut::<ITEM_HEAD_BYTES>())
    else {
        return;
    };
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let (len_bytes, crc_bytes) = head.split_at_mut(4);
    len_bytes.copy_from_slice(&len.to_le_bytes());
    crc_bytes.copy_from_slice(&crc32fast::hash(content).to_le_bytes());
}

/// Where an item lies: its content, and where the next one begins.
pub(super) struct Extent {
    pub(super) content_start: usize,
    pub(super) end: usize,
    pub(super) checksum: u32,
}

/// Finds the item at `start`; `None` if it would reach beyond the bytes.
pub(super) fn extent(bytes: &[u8], start: usize) -> Option<Extent> {
    let head = bytes.get(start..)?.first_chunk::<ITEM_HEAD_BYTES>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let content_start = start + ITEM_HEAD_BYTES;
    let end = content_start.checked_add(usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?)?;
    (end <= bytes.len() && end > content_start).then_some(Extent {
        content_start,
        end,
        checksum: u32::from_le_bytes([c0, c1, c2, c3]),
    })
}

/// Whether the item is a record; other items take no position.
pub(super) fn is_record(bytes: &[u8], extent: &Extent) -> bool {
    bytes.get(extent.content_start) == Some(&(Kind::Record as u8))
}

/// Whether the item's own checksum holds.
pub(super) fn is_sound(bytes: &[u8], extent: &Extent) -> bool {
    bytes.get(extent.content_start..extent.end).is_some_and(|content| crc32fast::hash(content) == extent.checksum)
}

/// Decodes an item whose checksum holds; `position` is that of the next record.
pub(super) fn decode(bytes: &Bytes, extent: &Extent, position: Position) -> Result<Item, &'static str> {
    let content = bytes.get(extent.content_start..extent.end).ok_or("an item reaches beyond its page")?;
    match content.first() {
        Some(kind) if *kind == Kind::Record as u8 => {
            let head = content.first_chunk::<RECORD_HEAD_BYTES>().ok_or("a record is shorter than its head")?;
            let [_, v0, v1, v2, v3, v4, v5, v6, v7, t0, t1, t2, t3, t4, t5, t6, t7, id @ ..] = *head;
            let version = Version::new(u64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]));
            let time = Timestamp::from_micros(i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
            let body = bytes.slice(extent.content_start + RECORD_HEAD_BYTES..extent.end);
            let body = Body::decode(body).map_err(|_| "a record's body is malformed")?;
            let id = EventId::new(uuid::Uuid::from_bytes(id));
            Ok(Item::Record(RecordedEvent::new(position, version, time, id, body)))
        }
        Some(kind) if *kind == Kind::Frame as u8 => decode_frame(&bytes.slice(extent.content_start + 1..extent.end))
            .map(Item::Frame)
            .ok_or("a frame is malformed"),
        _ => Err("an item is of a kind that this version does not know"),
    }
}

fn decode_frame(content: &Bytes) -> Option<Frame> {
    let [c0, c1, c2, c3, flags] = *content.first_chunk::<5>()?;
    let count = u32::from_le_bytes([c0, c1, c2, c3]);
    if flags & FLAG_KEYED == 0 {
        return Some(Frame { count, keyed: None });
    }
    let fingerprint = Fingerprint::new(*content.get(5..)?.first_chunk::<16>()?);
    let mut at = 21;
    let mut name = || {
        let len = usize::from(u16::from_le_bytes(*content.get(at..)?.first_chunk::<2>()?));
        let start = at + 2;
        at = start + len;
        (at <= content.len()).then(|| content.slice(start..at))
    };
    let (scope, id) = (name()?, name()?);
    Some(Frame { count, keyed: Some(FrameKey { fingerprint, scope, id, reply: content.slice(at..) }) })
}
