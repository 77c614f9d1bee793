//! What stands between the bytes of a block: fragments of records, each with its own checksum.
//!
//! RocksDB writes its log in blocks of 32 KiB. A record that does not fit the rest of a block goes on in the next one.
//!
//! | field | bytes | |
//! |---|---|---|
//! | checksum | u32 | CRC-32C, masked, of all that follows the length |
//! | length | u16 | of the payload |
//! | kind | u8 | whole, first, middle or last part, or a note of RocksDB's own |
//! | log number | u32 | only in the kinds for recycled files: the file's number when this was written |
//! | payload | | |

/// A record never spans a block without a new header.
pub(super) const BLOCK_BYTES: usize = 32 * 1024;

const HEADER_BYTES: usize = 7;
const RECYCLABLE_HEADER_BYTES: usize = 11;
/// RocksDB stores a checksum rotated and moved by this, since a checksum of bytes that hold one is weak.
const MASK_DELTA: u32 = 0xa282_ead8;

/// What part of a record a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Full,
    First,
    Middle,
    Last,
    /// Something that RocksDB notes for itself: no data.
    Note,
}

/// What stands at a place of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragment<'a> {
    /// A fragment whose checksum holds.
    Sound { part: Part, recyclable: bool, payload: &'a [u8], end: usize },
    /// A fragment of the file's earlier life, under another number.
    Former { end: usize },
    /// Nothing more fits this block.
    End,
    /// Neither. `recyclable` says that RocksDB would take it for the header of a recyclable record.
    Bad { recyclable: bool },
}

fn part(kind: u8) -> Option<(Part, bool)> {
    Some(match kind {
        1 => (Part::Full, false),
        2 => (Part::First, false),
        3 => (Part::Middle, false),
        4 => (Part::Last, false),
        5 => (Part::Full, true),
        6 => (Part::First, true),
        7 => (Part::Middle, true),
        8 => (Part::Last, true),
        // The compression of the file, sizes of timestamps, what the file before held.
        9 | 10 | 130 => (Part::Note, false),
        11 | 131 => (Part::Note, true),
        _ => return None,
    })
}

/// Reads what stands at `at`, in the log file of this number (its low half is what records carry).
pub(super) fn fragment(block: &[u8], at: usize, number: u32) -> Fragment<'_> {
    let rest = block.get(at..).unwrap_or_default();
    let Some(&[c0, c1, c2, c3, l0, l1, kind]) = rest.first_chunk::<HEADER_BYTES>() else { return Fragment::End };
    if rest.len() < RECYCLABLE_HEADER_BYTES && rest.iter().all(|byte| *byte == 0) {
        return Fragment::End;
    }
    let Some((part, recyclable)) = part(kind) else { return Fragment::Bad { recyclable: false } };
    let bad = Fragment::Bad { recyclable };
    let header = if recyclable { RECYCLABLE_HEADER_BYTES } else { HEADER_BYTES };
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    let (Some(checked), Some(payload)) = (rest.get(6..header + length), rest.get(header..header + length)) else {
        return bad;
    };
    if mask(crc32c::crc32c(checked)) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return bad;
    }
    let end = at + header + length;
    let own = checked.get(1..5).and_then(|bytes| bytes.first_chunk::<4>()).map(|bytes| u32::from_le_bytes(*bytes));
    if recyclable && own != Some(number) {
        return Fragment::Former { end };
    }
    Fragment::Sound { part, recyclable, payload, end }
}

/// Where behind `at` the next sound fragment of this file begins. Damage makes lengths worthless, so every byte is tried.
pub(super) fn next_sound(block: &[u8], at: usize, number: u32) -> Option<usize> {
    let own = number.to_le_bytes();
    // The kind is the seventh byte of a header.
    block.get(at + HEADER_BYTES..)?.iter().zip(at + 1..).find_map(|(kind, begin)| {
        let (_, recyclable) = part(*kind)?;
        let numbered = || block.get(begin + HEADER_BYTES..begin + RECYCLABLE_HEADER_BYTES) == Some(&own[..]);
        let sound = || matches!(fragment(block, begin, number), Fragment::Sound { .. });
        ((!recyclable || numbered()) && sound()).then_some(begin)
    })
}

pub(super) const fn mask(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(MASK_DELTA)
}
