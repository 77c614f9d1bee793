//! Pages: what the log is made of. A page holds consecutive commits, or part of a large one, and stands in the log under
//! its first position (u64, big-endian).
//!
//! | field | bytes | |
//! |---|---|---|
//! | format version | u16 | 1 |
//! | flags | u16 | 0 |
//! | count | u32 | records in this page |
//! | first position | u64 | the same as the key |
//! | synced through | u64 | the durable watermark when the page was staged |
//! | previous checksum | u32 | of the page before; 0 for the first |
//! | checksum | u32 | CRC-32 of the page without this field |
//! | items | | frames and records |

mod cut;

use annalist_core::{Append, NewEvent, Position, RecordedEvent, StreamId, Timestamp, Version};
use bytes::Bytes;

use super::{
    Frame,
    item::{self, Extent, Item},
};

const PAGE_FORMAT: u16 = 1;
pub(super) const HEADER_BYTES: usize = 32;
const CHECKSUM_AT: usize = 28;

/// What is wrong with a page, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) position: Position,
    pub(crate) detail: &'static str,
}

/// What the header of a page says, read where the page need not be whole and its checksum is not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub(crate) first: Position,
    pub(crate) last: Position,
    /// The durable watermark when the page was staged; 0 also if nothing was synced at all.
    pub(crate) synced_through: Position,
}

impl PageHeader {
    /// Reads the header of the page that stands under `key`; `None` if it is not one of this format.
    pub(crate) fn decode(bytes: &[u8], key: Position) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let u64_at = |at| Some(u64::from_le_bytes(*header.get(at..)?.first_chunk::<8>()?));
        let format = u16::from_le_bytes(*header.first_chunk::<2>()?);
        let count = u32::from_le_bytes(*header.get(4..)?.first_chunk::<4>()?);
        let first = u64_at(8)?;
        let last = first.checked_add(u64::from(count.checked_sub(1)?)).filter(|last| *last < u64::MAX)?;
        let synced_through = Position::new(u64_at(16)?);
        let known = format == PAGE_FORMAT && first == key.get() && synced_through < key;
        known.then_some(Self { first: key, last: Position::new(last), synced_through })
    }
}

/// A page whose header was read. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    bytes: Bytes,
    first: Position,
    count: u32,
    previous_checksum: u32,
    checksum: u32,
    /// Whether the checksum of the whole page holds; if not, each item is checked by its own.
    sound: bool,
}

impl Page {
    /// Reads the header of the page that stands under `key` and checks the page's checksum.
    pub(crate) fn decode(bytes: Bytes, key: Position) -> Result<Self, Damage> {
        let damage = |detail| Damage { position: key, detail };
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(damage("a page is shorter than its header"))?;
        let [
            f0,
            f1,
            _,
            _,
            n0,
            n1,
            n2,
            n3,
            p0,
            p1,
            p2,
            p3,
            p4,
            p5,
            p6,
            p7,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            b0,
            b1,
            b2,
            b3,
            c0,
            c1,
            c2,
            c3,
        ] = *header;
        if u16::from_le_bytes([f0, f1]) != PAGE_FORMAT {
            return Err(damage("a page is in a format that this version does not know"));
        }
        let first = Position::new(u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]));
        if first != key {
            return Err(damage("a page stands under another position than its own"));
        }
        let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
        let sound = is_page_sound(&bytes);
        let count = u32::from_le_bytes([n0, n1, n2, n3]);
        if first.get().checked_add(u64::from(count)).is_none() {
            return Err(damage("a page says that it goes beyond the last position that there can be"));
        }
        Ok(Self { first, count, previous_checksum: u32::from_le_bytes([b0, b1, b2, b3]), checksum, sound, bytes })
    }

    pub(crate) const fn first(&self) -> Position {
        self.first
    }

    /// The position of the last record.
    pub(crate) fn last(&self) -> Position {
        Position::new(self.first.get().saturating_add(u64::from(self.count)).saturating_sub(1))
    }

    /// How many records the page says it holds.
    pub(crate) fn record_count(&self) -> u64 {
        u64::from(self.count)
    }

    pub(crate) const fn checksum(&self) -> u32 {
        self.checksum
    }

    pub(crate) const fn previous_checksum(&self) -> u32 {
        self.previous_checksum
    }

    /// Whether this page stands directly behind `before` in the log.
    pub(crate) fn follows(&self, before: &Self) -> bool {
        self.first == before.last().next() && self.previous_checksum == before.checksum
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// What a page that nothing may be salvaged from says: used where the log is rebuilt from, not where it is read.
    pub(crate) fn require_sound(&self) -> Result<(), Damage> {
        if self.sound {
            return Ok(());
        }
        let bad = self.items().find_map(Result::err);
        Err(bad.unwrap_or(Damage { position: self.first, detail: "the checksum of a page does not hold" }))
    }

    /// The items in order. A damaged one is an error and ends the iteration.
    pub(crate) fn items(&self) -> Items<'_> {
        Items { page: self, at: HEADER_BYTES, next: self.first, failed: false }
    }

    /// The records at or behind `from`, at most up to `to`, in order.
    pub(crate) fn records(&self, from: Position, to: Position) -> impl Iterator<Item = Result<RecordedEvent, Damage>> {
        let mut items = self.items();
        let mut damage = items.skip_records(from).err();
        std::iter::from_fn(move || match damage.take() {
            Some(damage) => Some(Err(damage)),
            None if items.next > to => None,
            None => items.next_record(),
        })
    }

    /// Adds these records to `out`; those before a damaged one too.
    pub(crate) fn collect(&self, from: Position, to: Position, out: &mut Vec<RecordedEvent>) -> Result<(), Damage> {
        for record in self.records(from, to) {
            out.push(record?);
        }
        Ok(())
    }

    /// The record at `position`, which lies in this page.
    pub(crate) fn record(&self, position: Position) -> Result<RecordedEvent, Damage> {
        self.records(position, position)
            .next()
            .unwrap_or(Err(Damage { position, detail: "the page ends before this record" }))
    }

    /// The frame of the commit whose first record stands at `position` in this page.
    pub(crate) fn frame_before(&self, position: Position) -> Result<Frame, Damage> {
        let mut frame = None;
        for item in self.items() {
            match item? {
                Item::Frame(next) => frame = Some(next),
                Item::Record(record) if record.position == position => break,
                Item::Record(_) => frame = None,
            }
        }
        frame.ok_or(Damage { position, detail: "no commit begins at this record" })
    }
}

/// Whether the checksum of the whole page holds.
pub(super) fn is_page_sound(bytes: &[u8]) -> bool {
    let stored = bytes.get(CHECKSUM_AT..).and_then(|rest| rest.first_chunk::<4>());
    stored.is_some_and(|stored| u32::from_le_bytes(*stored) == page_checksum(bytes))
}

/// Whether the items of a page whose checksum does not hold lie end to end, with as many records among them as the page should
/// have: then those of its records that are sound have the places that counting gives them.
pub(super) fn can_be_counted(bytes: &[u8], records: u64) -> bool {
    let (mut at, mut left) = (HEADER_BYTES, records);
    while let Some(extent) = item::extent(bytes, at) {
        match left.checked_sub(u64::from(item::is_record(bytes, &extent))) {
            Some(rest) => left = rest,
            None => return false,
        }
        at = extent.end;
    }
    at == bytes.len() && left == 0
}

fn page_checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..CHECKSUM_AT).unwrap_or_default());
    hasher.update(bytes.get(HEADER_BYTES..).unwrap_or_default());
    hasher.finalize()
}

/// The items of a page.
pub(crate) struct Items<'a> {
    page: &'a Page,
    at: usize,
    next: Position,
    failed: bool,
}

impl Items<'_> {
    fn extent(&self) -> Result<Option<Extent>, Damage> {
        if self.failed {
            return Ok(None);
        }
        if self.at >= self.page.bytes.len() {
            if self.next.get() == self.page.first.get().saturating_add(self.page.record_count()) {
                return Ok(None);
            }
            return Err(Damage { position: self.next, detail: "a page ends before its last record" });
        }
        item::extent(&self.page.bytes, self.at)
            .map(Some)
            .ok_or(Damage { position: self.next, detail: "an item reaches beyond its page" })
    }

    /// The next record; frames are passed over.
    fn next_record(&mut self) -> Option<Result<RecordedEvent, Damage>> {
        loop {
            match self.next()? {
                Ok(Item::Record(record)) => return Some(Ok(record)),
                Ok(Item::Frame(_)) => {}
                Err(damage) => return Some(Err(damage)),
            }
        }
    }

    /// Passes over the records before `from` without decoding them.
    fn skip_records(&mut self, from: Position) -> Result<(), Damage> {
        if self.next < from && !self.page.sound && !can_be_counted(&self.page.bytes, self.page.record_count()) {
            self.failed = true;
            return Err(Damage { position: self.next, detail: "the checksum of a page does not hold" });
        }
        while self.next < from {
            match self.extent() {
                Ok(Some(extent)) => {
                    if item::is_record(&self.page.bytes, &extent) {
                        self.next = self.next.next();
                    }
                    self.at = extent.end;
                }
                Ok(None) => break,
                Err(damage) => {
                    self.failed = true;
                    return Err(damage);
                }
            }
        }
        Ok(())
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let extent = match self.extent() {
            Ok(extent) => extent?,
            Err(damage) => {
                self.failed = true;
                return Some(Err(damage));
            }
        };
        let bytes = &self.page.bytes;
        if !self.page.sound && !item::is_sound(bytes, &extent) {
            self.failed = true;
            return Some(Err(Damage { position: self.next, detail: "the checksum of a record does not hold" }));
        }
        let item = item::decode(bytes, &extent, self.next).map_err(|detail| Damage { position: self.next, detail });
        self.at = extent.end;
        match &item {
            Ok(Item::Record(_)) => self.next = self.next.next(),
            Ok(Item::Frame(_)) => {}
            Err(_) => self.failed = true,
        }
        Some(item)
    }
}

/// Builds pages of about a target size, chained by their checksums.
#[derive(Debug)]
pub(crate) struct PageBuilder {
    target_bytes: usize,
    bytes: Vec<u8>,
    first: Position,
    count: u32,
    previous_checksum: u32,
}

impl PageBuilder {
    /// A builder that goes on behind a page with this checksum.
    pub(crate) const fn after(previous_checksum: u32, target_bytes: usize) -> Self {
        Self { target_bytes, bytes: Vec::new(), first: Position::ZERO, count: 0, previous_checksum }
    }

    /// The checksum of the last finished page.
    pub(crate) const fn last_checksum(&self) -> u32 {
        self.previous_checksum
    }

    /// Opens a commit of `count` events whose first stands at `position`.
    pub(crate) fn frame(&mut self, append: &Append, count: u32, position: Position, synced: Position) -> Option<Page> {
        let full = self.finish_if_full();
        self.open(position, synced);
        item::encode_frame(&mut self.bytes, append, count);
        full
    }

    /// Adds a record. `opens` says that it follows its frame, with which it stays in one page.
    #[expect(clippy::too_many_arguments, reason = "each is one field of the record or of the page it may open")]
    pub(crate) fn record(
        &mut self,
        stream: &StreamId,
        event: &NewEvent,
        version: Version,
        time: Timestamp,
        position: Position,
        synced: Position,
        opens: bool,
    ) -> (Option<Page>, u32) {
        let full = if opens { None } else { self.finish_if_full() };
        self.open(position, synced);
        item::encode_record(&mut self.bytes, stream, event, version, time);
        let slot = self.count;
        self.count += 1;
        (full, slot)
    }

    /// Finishes the page in progress.
    pub(crate) fn finish(&mut self) -> Option<Page> {
        if self.count == 0 {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some(count) = bytes.get_mut(4..8) {
            count.copy_from_slice(&self.count.to_le_bytes());
        }
        // A lone commit fills little of what a page may hold, and recent pages stay in memory.
        if bytes.len() < bytes.capacity() / 2 {
            bytes.shrink_to_fit();
        }
        let checksum = page_checksum(&bytes);
        if let Some(field) = bytes.get_mut(CHECKSUM_AT..HEADER_BYTES) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
        let page = Page {
            bytes: bytes.into(),
            first: self.first,
            count: self.count,
            previous_checksum: self.previous_checksum,
            checksum,
            sound: true,
        };
        self.previous_checksum = checksum;
        self.count = 0;
        Some(page)
    }

    fn finish_if_full(&mut self) -> Option<Page> {
        if self.bytes.len() >= self.target_bytes { self.finish() } else { None }
    }

    fn open(&mut self, first: Position, synced: Position) {
        if !self.bytes.is_empty() {
            return;
        }
        self.first = first;
        self.bytes.reserve(self.target_bytes + self.target_bytes / 8);
        self.bytes.extend_from_slice(&PAGE_FORMAT.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 6]);
        self.bytes.extend_from_slice(&first.get().to_le_bytes());
        self.bytes.extend_from_slice(&synced.get().to_le_bytes());
        self.bytes.extend_from_slice(&self.previous_checksum.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
    }
}

impl Page {
    /// The bytes as they stand in the log.
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}
