//! Rows of the index. A row's key begins with the letter of its family.
//!
//! | family | key | value |
//! |---|---|---|
//! | `m` mark | | epoch u32, position u64, checksum u32 of the page that ends there |
//! | `s` stream | name, 0, first version (u64, big-endian, inverted: newest first) | count, then per event: position, slot (varints, positions as differences) |
//! | `k` key | scope, 0, id | fingerprint (16 bytes), first position, count, slot (varints) |
//!
//! Names hold no zero byte, so the zero ends them. The slot of an event is its distance from the first event of its page:
//! position minus slot is the page's key. The letters `p` (postings), `l` (last position per term) and `t` (time) are
//! reserved for queries.

use annalist_core::{Epoch, Fingerprint, Key, Position, Version};

use super::varint;

/// The key of the mark.
pub(crate) const MARK_KEY: &[u8] = b"m";
/// The letter of the stream family.
pub(crate) const STREAM_FAMILY: u8 = b's';
const KEY_FAMILY: u8 = b'k';

/// Up to where the index covers the log, and which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: Epoch,
    pub(crate) position: Position,
    pub(crate) checksum: u32,
}

impl Mark {
    pub(crate) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (epoch, rest) = bytes.split_at_mut(4);
        let (position, checksum) = rest.split_at_mut(8);
        epoch.copy_from_slice(&self.epoch.get().to_le_bytes());
        position.copy_from_slice(&self.position.get().to_le_bytes());
        checksum.copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [e0, e1, e2, e3, p0, p1, p2, p3, p4, p5, p6, p7, c0, c1, c2, c3] = *bytes.as_array::<16>()?;
        Some(Self {
            epoch: Epoch::new(u32::from_le_bytes([e0, e1, e2, e3])),
            position: Position::new(u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7])),
            checksum: u32::from_le_bytes([c0, c1, c2, c3]),
        })
    }
}

/// The key of the row that holds the run of a stream's events beginning at `first`; `Version::MAX` sorts before all.
pub(crate) fn stream_row_key(out: &mut Vec<u8>, stream: &str, first: Version) {
    out.push(STREAM_FAMILY);
    out.extend_from_slice(stream.as_bytes());
    out.push(0);
    out.extend_from_slice(&(!first.get()).to_be_bytes());
}

/// How much of a stream row's key is the stream: everything up to and including the zero.
pub(crate) fn stream_prefix_len(key: &[u8]) -> usize {
    key.iter().position(|byte| *byte == 0).map_or(key.len(), |zero| zero + 1)
}

/// The key of the row of an append's key.
pub(crate) fn key_row_key(out: &mut Vec<u8>, key: &Key) {
    out.push(KEY_FAMILY);
    out.extend_from_slice(key.scope().as_bytes());
    out.push(0);
    out.extend_from_slice(key.id().as_bytes());
}

/// A run of a stream's events: where each stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub(crate) first: Version,
    /// (position, slot) of each event, in order of versions.
    pub(crate) places: Vec<(Position, u32)>,
}

impl StreamRow {
    /// The version behind the last one of the run.
    pub(crate) fn end(&self) -> Version {
        Version::new(self.first.get().saturating_add(self.places.len() as u64))
    }

    pub(crate) fn encode_places(out: &mut Vec<u8>, places: &[(Position, u32)]) {
        varint::put(out, places.len() as u64);
        let mut before = 0;
        for (position, slot) in places {
            varint::put(out, position.get() - before);
            varint::put(out, u64::from(*slot));
            before = position.get();
        }
    }

    pub(crate) fn decode(key: &[u8], mut value: &[u8]) -> Option<Self> {
        let first = Version::new(!u64::from_be_bytes(*key.last_chunk::<8>()?));
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
