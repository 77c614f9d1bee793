//! The reader against files written here: as RocksDB writes them, cut, overwritten, damaged, and random bytes.

mod fuzz;

use annalist_core::Position;
use proptest::prelude::*;

use super::{
    Place, Scan,
    reader::{Entry, Reader},
    record::{BLOCK_BYTES, mask},
};

const NUMBER: u64 = 12;

/// A log file as RocksDB writes it.
struct Writer {
    bytes: Vec<u8>,
    recyclable: bool,
    number: u32,
}

impl Writer {
    fn new(number: u64, recyclable: bool) -> Self {
        Self { bytes: Vec::new(), recyclable, number: u32::try_from(number).expect("a small number") }
    }

    fn of(number: u64, recyclable: bool, records: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = Self::new(number, recyclable);
        for record in records {
            writer.add(record);
        }
        writer.bytes
    }

    fn add(&mut self, mut record: &[u8]) {
        let header = if self.recyclable { 11 } else { 7 };
        let mut begin = true;
        loop {
            let left = BLOCK_BYTES - self.bytes.len() % BLOCK_BYTES;
            if left < header {
                self.bytes.resize(self.bytes.len() + left, 0);
                continue;
            }
            let length = record.len().min(left - header);
            let (payload, rest) = record.split_at(length);
            let kind = match (begin, rest.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            self.fragment(kind, payload);
            (begin, record) = (false, rest);
            if rest.is_empty() {
                return;
            }
        }
    }

    fn fragment(&mut self, kind: u8, payload: &[u8]) {
        let mut checked = vec![if self.recyclable { kind + 4 } else { kind }];
        if self.recyclable {
            checked.extend_from_slice(&self.number.to_le_bytes());
        }
        checked.extend_from_slice(payload);
        self.bytes.extend_from_slice(&mask(crc32c::crc32c(&checked)).to_le_bytes());
        self.bytes.extend_from_slice(&u16::try_from(payload.len()).expect("it fits a block").to_le_bytes());
        self.bytes.extend_from_slice(&checked);
    }
}

/// A batch with one page of `count` records.
fn batch(sequence: u64, first: u64, count: u32, synced: u64, padding: usize) -> Vec<u8> {
    let mut page = vec![1, 0, 0, 0];
    page.extend_from_slice(&count.to_le_bytes());
    page.extend_from_slice(&first.to_le_bytes());
    page.extend_from_slice(&synced.to_le_bytes());
    page.resize(32 + padding, 7);
    let mut batch = sequence.to_le_bytes().to_vec();
    batch.extend_from_slice(&1_u32.to_le_bytes());
    batch.extend_from_slice(&[5, 1, 8]);
    batch.extend_from_slice(&first.to_be_bytes());
    let mut length = page.len();
    while length >= 0x80 {
        batch.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    batch.push(u8::try_from(length).expect("seven bits"));
    batch.extend_from_slice(&page);
    batch
}

/// What a lone writer writes: one event after the other, each synced before the next.
fn lone_writer(events: std::ops::RangeInclusive<u64>, padding: usize) -> Vec<Vec<u8>> {
    events.map(|at| batch(at + 100, at, 1, at - 1, padding)).collect()
}

/// The whole records, and the beginnings of others.
fn read(bytes: &[u8], number: u64) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut reader = Reader::new(bytes, number);
    let (mut whole, mut beginnings) = (Vec::new(), Vec::new());
    while let Some(entry) = reader.next().expect("memory can be read") {
        match entry {
            Entry::Whole => whole.push(reader.record().to_vec()),
            Entry::Beginning => beginnings.push(reader.record().to_vec()),
            Entry::Gap(offset) => assert!(offset <= bytes.len() as u64),
        }
    }
    (whole, beginnings)
}

fn scan(files: &[(u64, &[u8])]) -> Scan {
    let mut scan = Scan::default();
    for (number, bytes) in files {
        scan.read(*bytes, *number).expect("memory can be read");
    }
    scan
}

/// Records of many sizes: empty, within a block, ending just before its end, over several blocks.
fn sizes() -> Vec<Vec<u8>> {
    let sizes = [0, 1, 500, 20_000, 12_200, 40, 0, 32_757, 100_000, 3, 32_768 * 2, 1000];
    sizes.iter().zip(1_u8..).map(|(size, fill)| vec![fill; *size]).collect()
}

#[test]
fn what_was_written_is_read() {
    for recyclable in [false, true] {
        for filler in 0..64 {
            // The filler moves the ends of blocks through the headers.
            let mut records = vec![vec![9; BLOCK_BYTES - 80 + filler]];
            records.extend(sizes());
            let bytes = Writer::of(NUMBER, recyclable, &records);
            assert_eq!(read(&bytes, NUMBER), (records, Vec::new()), "filler {filler}");
        }
    }
}

#[test]
fn a_flipped_bit_costs_the_record_it_hits_and_no_other() {
    for recyclable in [false, true] {
        let records = sizes();
        let bytes = Writer::of(NUMBER, recyclable, &records);
        for at in (0..bytes.len()).step_by(307) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let (whole, _) = read(&damaged, NUMBER);
            let mut expected = records.iter();
            assert!(whole.iter().all(|record| expected.any(|other| other == record)), "byte {at}: nothing is made up");
            assert!(whole.len() + 1 >= records.len(), "byte {at}: one record at most is lost");
        }
    }
}

#[test]
fn an_earlier_life_of_the_file_is_its_end() {
    let former = Writer::of(7, true, &lone_writer(1..=400, 900));
    for events in [0, 1, 2, 50, 399] {
        let mut bytes = Writer::of(NUMBER, true, &lone_writer(401..=400 + events, 900));
        let end = bytes.len();
        bytes.extend_from_slice(&former[end..]);
        let (whole, beginnings) = read(&bytes, NUMBER);
        assert_eq!((whole.len() as u64, beginnings.len()), (events, 0));
        let found = scan(&[(NUMBER, &bytes)]);
        assert_eq!(found.doubt, None, "{events} events");
        assert_eq!(found.last.get(), if events == 0 { 0 } else { 400 + events });
    }
}

#[test]
fn pages_say_up_to_where_the_log_was_synced() {
    let bytes = Writer::of(NUMBER, true, &lone_writer(5..=30, 2000));
    let found = scan(&[(NUMBER, &bytes)]);
    assert_eq!((found.first.get(), found.last.get(), found.synced.get(), found.doubt), (5, 30, 29, None));

    // A page of which only the beginning is left says so too, but it is not there.
    let mut records = lone_writer(5..=30, 2000);
    records.push(batch(131, 31, 1, 30, 2 * BLOCK_BYTES));
    let bytes = Writer::of(NUMBER, true, &records);
    let found = scan(&[(NUMBER, &bytes[..bytes.len() - 1000])]);
    assert_eq!((found.first.get(), found.last.get(), found.synced.get(), found.doubt), (5, 30, 30, None));
}

#[test]
fn a_bad_record_is_doubtful_only_if_a_good_one_stands_behind_it() {
    for recyclable in [false, true] {
        let records = lone_writer(1..=20, 300);
        let bytes = Writer::of(NUMBER, recyclable, &records);
        let size = bytes.len() / records.len();
        for record in 0..records.len() {
            let mut damaged = bytes.clone();
            damaged[record * size + 50] ^= 4;
            let found = scan(&[(NUMBER, &damaged)]);
            let last = record + 1 == records.len();
            let place = Place { file: NUMBER, offset: (record * size) as u64 };
            assert_eq!(found.doubt, (!last).then_some(place), "record {record}");
            assert_eq!(found.synced.get(), if last { 18 } else { 19 });
        }
    }
}

#[test]
fn zeros_and_garbage_behind_the_end_are_no_doubt() {
    let bytes = Writer::of(NUMBER, true, &lone_writer(1..=20, 300));
    for tail in [vec![0; 100_000], (0..100_000_u32).map(|at| (at * 31 % 251) as u8).collect()] {
        let found = scan(&[(NUMBER, &[&bytes[..], &tail].concat())]);
        assert_eq!((found.last.get(), found.doubt), (20, None));
    }
    let mut zeroed = bytes.clone();
    let (end, size) = (bytes.len(), bytes.len() / 20);
    zeroed[end - 2 * size..end - size].fill(0);
    assert!(scan(&[(NUMBER, &zeroed)]).doubt.is_some(), "zeros before a record are");
}

#[test]
fn files_follow_each_other_without_a_gap() {
    let first = Writer::of(7, true, &lone_writer(1..=20, 300));
    let second = Writer::of(9, true, &lone_writer(21..=40, 300));
    let third = Writer::of(11, true, &lone_writer(41..=60, 300));
    let doubt = |files: &[(u64, &[u8])]| scan(files).doubt.map(|place| place.file);
    assert_eq!(doubt(&[(7, &first), (9, &second), (11, &third)]), None);
    assert_eq!(doubt(&[(7, &first), (9, &second), (11, &[])]), None, "a new file");
    assert_eq!(doubt(&[(7, &first), (9, &second), (11, &first)]), None, "a recycled one without a record yet");
    assert_eq!(doubt(&[(7, &first), (11, &third)]), Some(11), "one is missing");
    assert_eq!(doubt(&[(7, &first), (9, &second[..second.len() / 2]), (11, &third)]), Some(11), "one is cut");
    let size = second.len() / 20;
    assert_eq!(doubt(&[(7, &first), (9, &second[..10 * size]), (11, &third)]), Some(11), "cut between records");
    assert_eq!(doubt(&[(7, &vec![0; 5000]), (9, &second)]), Some(7), "the first one is wiped");
    assert_eq!(doubt(&[(7, &first), (9, &second), (11, &vec![0; 5000])]), None, "the last one holds nothing");
}

#[test]
fn a_file_that_rocksdb_would_not_come_to_an_end_with_is_known() {
    let records = lone_writer(1..=20, 300);
    let mut bytes = Writer::of(NUMBER, false, &records);
    let size = bytes.len() / records.len();
    assert_eq!(scan(&[(NUMBER, &bytes)]).stalls, None);
    bytes[5 * size + 6] ^= 4;
    assert_eq!(scan(&[(NUMBER, &bytes)]).stalls, Some(Place { file: NUMBER, offset: (5 * size) as u64 }));
}

#[test]
fn notes_are_no_pages() {
    let mut note = batch(1, 1, 1, 0, 10);
    // The column family of the consumers' notes.
    note[13] = 2;
    let found = scan(&[(NUMBER, &Writer::of(NUMBER, true, &[note, batch(2, 1, 1, 0, 10)]))]);
    assert_eq!((found.first.get(), found.last.get(), found.doubt), (1, 1, None));
    let strange = [&2_u64.to_le_bytes()[..], &1_u32.to_le_bytes(), &[200, 1, 2, 3]].concat();
    let found = scan(&[(NUMBER, &Writer::of(NUMBER, true, &[batch(1, 1, 1, 0, 0), strange, batch(3, 2, 1, 1, 0)]))]);
    assert_eq!((found.last.get(), found.doubt), (2, None), "what is not understood is passed over");
}

proptest! {
    #[test]
    fn random_bytes_harm_nobody(bytes in prop::collection::vec(any::<u8>(), 1..70_000), number in 0..20_u64) {
        let (whole, _) = read(&bytes, number);
        prop_assert!(whole.len() < bytes.len());
        scan(&[(number, &bytes), (number + 1, &bytes)]);
        if let Some(batch) = super::batch::Batch::decode(&bytes) {
            batch.pages().for_each(|page| assert!(page.first <= page.last));
        }
    }

    #[test]
    fn a_file_that_is_cut_holds_its_beginning(recyclable: bool, padding in 0..3000_usize, part in 0.0..1.0) {
        let records = lone_writer(1..=60, padding);
        let bytes = Writer::of(NUMBER, recyclable, &records);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any cut will do")]
        let cut = (bytes.len() as f64 * part) as usize;
        let (whole, beginnings) = read(&bytes[..cut], NUMBER);
        prop_assert_eq!(&whole[..], &records[..whole.len()]);
        prop_assert!(beginnings.len() <= 1);
        for beginning in beginnings {
            prop_assert!(records[whole.len()].starts_with(&beginning));
        }
        let found = scan(&[(NUMBER, &bytes[..cut])]);
        prop_assert_eq!(found.doubt, None);
        prop_assert_eq!(found.last.get(), whole.len() as u64);
    }

    #[test]
    fn a_file_that_is_overwritten_in_places_yields_only_what_was_written(
        padding in 0..3000_usize,
        holes in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..600)), 1..8),
    ) {
        let records = lone_writer(1..=60, padding);
        let mut bytes = Writer::of(NUMBER, true, &records);
        for (at, garbage) in holes {
            let at = at.index(bytes.len());
            let end = bytes.len().min(at + garbage.len());
            bytes[at..end].copy_from_slice(&garbage[..end - at]);
        }
        let (whole, beginnings) = read(&bytes, NUMBER);
        let mut expected = records.iter();
        prop_assert!(whole.iter().all(|record| expected.any(|other| other == record)));
        prop_assert!(beginnings.iter().all(|part| records.iter().any(|record| record.starts_with(part))));
        let found = scan(&[(NUMBER, &bytes)]);
        prop_assert!(found.synced < Position::new(60));
        if found.doubt.is_none() {
            prop_assert_eq!(&whole[..], &records[..whole.len()], "nothing is missing before something that can be read");
        }
    }
}
