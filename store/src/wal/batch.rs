//! What a record holds: a write batch of RocksDB, and in it pages.
//!
//! | field | bytes | |
//! |---|---|---|
//! | sequence | u64 | number of the first entry |
//! | count | u32 | entries that have a number |
//! | entries | | each: kind u8; column family (varint) in some kinds; one or two strings (length as varint, bytes) |

use annalist_core::Position;

use crate::format::{Damage, Page, PageHeader};

/// The column family of the pages: they are made in one order when the store is, behind RocksDB's own `default`.
const PAGES_FAMILY: u32 = 1;

const PUT: u8 = 1;
const PUT_IN_FAMILY: u8 = 5;

/// The beginning of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch<'a> {
    /// The number of the first entry.
    pub(super) sequence: u64,
    /// The number of the first entry of the batch behind this one.
    pub(super) next_sequence: u64,
    entries: &'a [u8],
}

impl<'a> Batch<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (sequence, rest) = bytes.split_first_chunk::<8>()?;
        let (count, entries) = rest.split_first_chunk::<4>()?;
        let sequence = u64::from_le_bytes(*sequence);
        let next_sequence = sequence.checked_add(u64::from(u32::from_le_bytes(*count)))?;
        Some(Self { sequence, next_sequence, entries })
    }

    /// The headers of its pages, as far as they can be read: the end may be missing.
    pub(super) fn pages(self) -> impl Iterator<Item = PageHeader> {
        self.puts().filter_map(|(key, value)| PageHeader::decode(value, key))
    }

    /// Its pages, of a batch that is whole.
    pub(super) fn whole_pages(self) -> Result<Vec<Page>, Damage> {
        self.puts().map(|(key, value)| Page::decode(bytes::Bytes::copy_from_slice(value), key)).collect()
    }

    /// What it puts into the pages' family: positions, and as much of each value as there is.
    fn puts(self) -> impl Iterator<Item = (Position, &'a [u8])> {
        let mut rest = Bytes(self.entries);
        std::iter::from_fn(move || rest.entry()).filter_map(|entry| {
            let Entry::Put(put) = entry else { return None };
            let key = Position::new(u64::from_be_bytes(*put.key.as_array::<8>()?));
            (put.family == PAGES_FAMILY).then_some((key, put.value))
        })
    }
}

enum Entry<'a> {
    Put(Put<'a>),
    Other,
}

struct Put<'a> {
    family: u32,
    key: &'a [u8],
    /// As much of the value as there is.
    value: &'a [u8],
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The next entry; `None` at the end or where nothing can be understood any more.
    fn entry(&mut self) -> Option<Entry<'a>> {
        // The kinds that RocksDB writes for what this store does, and those beside them (`db/dbformat.h`).
        let kind = self.byte()?;
        let (in_family, strings) = match kind {
            0 | 3 | 7 => (false, 1),    // delete, data of the log alone, delete once
            4 | 8 => (true, 1),         // delete, delete once
            PUT | 2 | 15 => (false, 2), // put, merge, delete a range
            PUT_IN_FAMILY | 6 | 14 => (true, 2),
            13 => (false, 0), // nothing
            _ => return None,
        };
        let family = if in_family { self.number()? } else { 0 };
        let key = if strings > 0 { self.string(true)? } else { &[] };
        let value = if strings > 1 { self.string(false)? } else { &[] };
        let is_put = matches!(kind, PUT | PUT_IN_FAMILY);
        Some(if is_put { Entry::Put(Put { family, key, value }) } else { Entry::Other })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A varint of at most 32 bits.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A string; if it need not be whole, what there is of it.
    fn string(&mut self, whole: bool) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        if whole && length > self.0.len() {
            return None;
        }
        let (string, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(string)
    }
}
