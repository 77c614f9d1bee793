//! Whatever bytes stand in a write-ahead log: they are read to their end, and nothing comes out that its checksum does not
//! cover.

use super::{NUMBER, Writer, lone_writer};
use crate::{
    fuzz::Target,
    wal::{
        Scan,
        batch::Batch,
        reader::{Entry, Reader},
        record::{BLOCK_BYTES, mask},
    },
};

/// Puts the checksums of the fragments right that lie end to end.
fn repair(bytes: &mut [u8]) {
    for block in bytes.chunks_mut(BLOCK_BYTES) {
        let mut at = 0;
        while at + 7 <= block.len() {
            let recyclable = matches!(block[at + 6], 5..=8 | 11 | 131);
            let header = if recyclable { 11 } else { 7 };
            let end = at + header + usize::from(u16::from_le_bytes([block[at + 4], block[at + 5]]));
            if end > block.len() {
                break;
            }
            let checksum = mask(crc32c::crc32c(&block[at + 6..end]));
            block[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
            at = end;
        }
    }
}

fn read(bytes: &[u8]) -> String {
    let mut reader = Reader::new(bytes, NUMBER);
    let (mut whole, mut beginnings, mut gaps, mut pages, mut read) = (0_u32, 0_u32, 0_u32, 0_u32, 0);
    while let Some(entry) = reader.next().expect("memory can be read") {
        match entry {
            Entry::Whole => whole += 1,
            Entry::Beginning => beginnings += 1,
            Entry::Gap(offset) => {
                assert!(offset <= bytes.len() as u64, "a gap is in the file");
                gaps += 1;
                continue;
            }
        }
        read += reader.record().len();
        let Some(batch) = Batch::decode(reader.record()) else { continue };
        assert!(batch.next_sequence >= batch.sequence);
        for page in batch.pages() {
            assert!(page.first <= page.last && page.synced_through < page.first);
            pages += 1;
        }
    }
    assert!(read <= bytes.len(), "nothing is read twice");
    let mut scan = Scan::default();
    scan.read(bytes, NUMBER).expect("memory can be read");
    scan.read(bytes, NUMBER + 1).expect("memory can be read");
    let counts = [whole, beginnings, gaps, pages].map(|count| count.min(4));
    format!("{counts:?} {} {}", scan.doubt.is_some(), scan.stalls.is_some())
}

#[test]
fn write_ahead_logs() {
    let mut seeds = Vec::new();
    for recyclable in [true, false] {
        seeds.push(Writer::of(NUMBER, recyclable, &lone_writer(1..=6, 40)));
        seeds.push(Writer::of(NUMBER, recyclable, &lone_writer(1..=3, BLOCK_BYTES / 2)));
    }
    Target { name: "wal", seeds, repair: &|bytes| repair(bytes), run: &read }.fuzz();
}

#[test]
fn batches() {
    let run = |bytes: &[u8]| match Batch::decode(bytes) {
        None => "none".to_owned(),
        Some(batch) => {
            let pages = batch.pages().inspect(|page| assert!(page.first <= page.last)).count();
            format!("{}", pages.min(9))
        }
    };
    Target { name: "batch", seeds: lone_writer(1..=3, 40), repair: &|_| {}, run: &run }.fuzz();
}
