//! Rows of the index. A row's key begins with the letter of its family.
//!
//! | family | key | value |
//! |---|---|---|
//! | `m` mark | | see [`Mark`] |
//! | `s` stream | name, 0, version of the row's first event (u64, big-endian) | places |
//! | `c` category, `t` type, `g` tag | name, 0, position of the row's first event (u64, big-endian) | places |
//! | `k` key | scope, 0, id | fingerprint (16 bytes), first position, count, slot (varints) |
//!
//! Names hold no zero byte, so the zero ends them. Places are the count of events, then for each its position (the difference
//! to the one before, the first to 0) and its slot, all varints. The slot of an event is its distance from the first event
//! of its page: position minus slot is the page's key.

use annalist_core::{Epoch, Fingerprint, Key, Position};

use super::varint;

/// The key of the mark.
pub(crate) const MARK_KEY: &[u8] = b"m";
const KEY_FAMILY: u8 = b'k';

/// The layout of the rows. An index of another layout is built anew.
const INDEX_FORMAT: u32 = 2;

/// Where an event stands: its position and its slot.
pub(crate) type Place = (Position, u32);

/// What the log holds up to somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// How many streams have events.
    pub(crate) streams: u64,
    /// The bodies of all events, in bytes.
    pub(crate) event_bytes: u64,
}

/// Up to where the index covers the log, and which log. Little-endian: index format u32, epoch u32, position u64, checksum u32
/// of the page that ends there, streams u64, event bytes u64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: Epoch,
    pub(crate) position: Position,
    pub(crate) checksum: u32,
    pub(crate) totals: Totals,
}

impl Mark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(36);
        bytes.extend_from_slice(&INDEX_FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.epoch.get().to_le_bytes());
        bytes.extend_from_slice(&self.position.get().to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&self.totals.streams.to_le_bytes());
        bytes.extend_from_slice(&self.totals.event_bytes.to_le_bytes());
        bytes
    }

    /// `None` if the index is of another layout.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let format = take_u32(&mut bytes)?;
        let mark = Self {
            epoch: Epoch::new(take_u32(&mut bytes)?),
            position: Position::new(take_u64(&mut bytes)?),
            checksum: take_u32(&mut bytes)?,
            totals: Totals { streams: take_u64(&mut bytes)?, event_bytes: take_u64(&mut bytes)? },
        };
        (format == INDEX_FORMAT && bytes.is_empty()).then_some(mark)
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let (taken, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*taken))
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (taken, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*taken))
}

/// What places are kept for: everything by which an event can be found. The numbers count from 0, for tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Stream = 0,
    Category = 1,
    Type = 2,
    Tag = 3,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Stream, Self::Category, Self::Type, Self::Tag];

    const fn letter(self) -> u8 {
        match self {
            Self::Stream => b's',
            Self::Category => b'c',
            Self::Type => b't',
            Self::Tag => b'g',
        }
    }
}

impl Kind {
    /// The kind of the list that a row belongs to; `None` for other rows.
    pub(crate) fn of_row(key: &[u8]) -> Option<Self> {
        let letter = *key.first()?;
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

/// The name of the list that a row belongs to; `None` for other rows.
pub(crate) fn list_name(key: &[u8]) -> Option<&str> {
    let name = key.get(1..list_prefix_len(key)?.checked_sub(1)?)?;
    std::str::from_utf8(name).ok()
}

/// The key of the row that begins with this ordinal: a version in a stream, a position elsewhere.
pub(crate) fn list_row_key(out: &mut Vec<u8>, kind: Kind, name: &str, first: u64) {
    out.push(kind.letter());
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.extend_from_slice(&first.to_be_bytes());
}

/// How much of a list row's key is its list: everything up to and including the zero. `None` for other rows.
pub(crate) fn list_prefix_len(key: &[u8]) -> Option<usize> {
    let letter = *key.first()?;
    Kind::ALL.iter().find(|kind| kind.letter() == letter)?;
    key.iter().position(|byte| *byte == 0).map(|zero| zero + 1)
}

/// The key of the row of an append's key.
pub(crate) fn key_row_key(out: &mut Vec<u8>, key: &Key) {
    out.push(KEY_FAMILY);
    out.extend_from_slice(key.scope().as_bytes());
    out.push(0);
    out.extend_from_slice(key.id().as_bytes());
}

/// A run of a list's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListRow {
    /// The version of the first event in a stream, its position elsewhere.
    pub(crate) first: u64,
    /// Where each stands, in order; at least one.
    pub(crate) places: Vec<Place>,
}

impl ListRow {
    /// The position of the last event.
    pub(crate) fn last(&self) -> Position {
        self.places.last().map_or(Position::ZERO, |(position, _)| *position)
    }

    pub(crate) fn encode_places(out: &mut Vec<u8>, places: &[Place]) {
        varint::put(out, places.len() as u64);
        let mut before = 0;
        for (position, slot) in places {
            varint::put(out, position.get() - before);
            varint::put(out, u64::from(*slot));
            before = position.get();
        }
    }

    pub(crate) fn decode(key: &[u8], mut value: &[u8]) -> Option<Self> {
        let first = u64::from_be_bytes(*key.last_chunk::<8>()?);
        let count = usize::try_from(varint::take(&mut value)?).ok()?;
        let mut places = Vec::with_capacity(count.min(value.len()));
        let mut position = 0_u64;
        for _ in 0..count {
            position = position.checked_add(varint::take(&mut value)?)?;
            places.push((Position::new(position), u32::try_from(varint::take(&mut value)?).ok()?));
        }
        (value.is_empty() && !places.is_empty()).then_some(Self { first, places })
    }
}

/// What the index remembers of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) fingerprint: Fingerprint,
    /// The first event of the commit.
    pub(crate) first: Position,
    /// How many events it has, at least one.
    pub(crate) count: u32,
    /// The slot of the first event in its page.
    pub(crate) slot: u32,
}

impl KeyRow {
    /// The last event of the commit.
    pub(crate) fn last(&self) -> Position {
        Position::new(self.first.get().saturating_add(u64::from(self.count) - 1))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.fingerprint.as_bytes());
        varint::put(out, self.first.get());
        varint::put(out, u64::from(self.count));
        varint::put(out, u64::from(self.slot));
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (fingerprint, mut rest) = bytes.split_first_chunk::<16>()?;
        let row = Self {
            fingerprint: Fingerprint::new(*fingerprint),
            first: Position::new(varint::take(&mut rest)?),
            count: u32::try_from(varint::take(&mut rest)?).ok()?,
            slot: u32::try_from(varint::take(&mut rest)?).ok()?,
        };
        (rest.is_empty() && row.count > 0).then_some(row)
    }
}
