//! One file of the write-ahead log, record by record, beyond damage too.

use std::io::{self, Read};

use super::record::{BLOCK_BYTES, Fragment, Part, fragment, next_sound};

/// What comes next in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A whole record; [`Reader::record`] has it.
    Whole,
    /// The beginning of a record whose rest cannot be read; [`Reader::record`] has what there is.
    Beginning,
    /// From this byte of the file on nothing could be read. Reported once for each such stretch.
    Gap(u64),
}

/// Reads a file. Never fails on bad bytes: it goes on at the next fragment whose checksum holds.
pub(super) struct Reader<R> {
    file: R,
    /// The half of its number that records carry.
    number: u32,
    block: Vec<u8>,
    /// Where the block begins in the file.
    block_at: u64,
    /// How far the block has been read.
    at: usize,
    record: Vec<u8>,
    /// Whether `record` waits for its next part.
    open: bool,
    /// Whether nothing could be read since the last sound fragment.
    in_gap: bool,
    gap: Option<u64>,
    recyclable: Option<bool>,
    stalls: bool,
}

impl<R: Read> Reader<R> {
    /// A reader of the log file of this number.
    pub(super) fn new(file: R, number: u64) -> Self {
        let [n0, n1, n2, n3, ..] = number.to_le_bytes();
        Self {
            file,
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            block: Vec::with_capacity(BLOCK_BYTES),
            block_at: 0,
            at: 0,
            record: Vec::new(),
            open: false,
            in_gap: false,
            gap: None,
            recyclable: None,
            stalls: false,
        }
    }

    /// A reader of a file that cannot have recyclable records.
    pub(super) fn not_recycled(file: R) -> Self {
        Self { recyclable: Some(false), ..Self::new(file, 0) }
    }

    /// The bytes of the record that was reported last.
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// Whether RocksDB would never come to an end with this file: in one that is not recycled it stops at what looks like
    /// a recyclable record, and tries the same again (11.8, `Reader::ReadPhysicalRecord`).
    pub(super) const fn stalls(&self) -> bool {
        self.stalls
    }

    /// Where in the file the record that was reported last ends.
    pub(super) const fn end(&self) -> u64 {
        self.block_at + self.at as u64
    }

    /// What comes next; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(offset) = self.gap.take() {
                return Ok(Some(Entry::Gap(offset)));
            }
            match fragment(&self.block, self.at, self.number) {
                Fragment::End => {
                    if !self.fill()? {
                        return Ok(std::mem::take(&mut self.open).then_some(Entry::Beginning));
                    }
                }
                Fragment::Sound { part, recyclable, payload, end } => {
                    let starts = matches!(part, Part::Full | Part::First);
                    if starts && self.open {
                        // The record before it has no end; this one is read in the next round.
                        return Ok(Some(self.cut_off()));
                    }
                    self.recyclable.get_or_insert(recyclable);
                    self.in_gap = false;
                    self.at = end;
                    if starts {
                        self.record.clear();
                    }
                    if starts || (self.open && part != Part::Note) {
                        self.record.extend_from_slice(payload);
                        self.open = matches!(part, Part::First | Part::Middle);
                        if !self.open {
                            return Ok(Some(Entry::Whole));
                        }
                    }
                }
                Fragment::Former { end } => {
                    let cut = self.lose();
                    self.at = end;
                    if let Some(entry) = cut {
                        return Ok(Some(entry));
                    }
                }
                Fragment::Bad { recyclable } => {
                    self.stalls |= recyclable && self.recyclable == Some(false);
                    let cut = self.lose();
                    self.at = next_sound(&self.block, self.at, self.number).unwrap_or(self.block.len());
                    if let Some(entry) = cut {
                        return Ok(Some(entry));
                    }
                }
            }
        }
    }

    /// Notes that nothing can be read here.
    fn lose(&mut self) -> Option<Entry> {
        if self.open {
            return Some(self.cut_off());
        }
        self.begin_gap();
        None
    }

    fn cut_off(&mut self) -> Entry {
        self.open = false;
        self.begin_gap();
        Entry::Beginning
    }

    fn begin_gap(&mut self) {
        if !self.in_gap {
            self.in_gap = true;
            self.gap = Some(self.block_at + self.at as u64);
        }
    }

    /// Reads the next block; `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.block_at += self.block.len() as u64;
        self.block.clear();
        self.at = 0;
        (&mut self.file).take(BLOCK_BYTES as u64).read_to_end(&mut self.block)?;
        Ok(!self.block.is_empty())
    }
}
