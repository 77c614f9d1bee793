//! Pages and rows come back as they were written; damaged ones are errors and never other events.

mod fuzz;

use annalist_core::{
    Append, Epoch, EventId, EventType, Expected, Fingerprint, Key, NewEvent, Position, RecordedEvent, StreamId, Tag,
    Timestamp, Version,
};
use uuid::Uuid;

use super::{
    BackedUpFile, KeyRow, Kind, ListRow, Manifest, Mark, Page, PageBuilder, StoreFile, Totals, pick_records, row,
};

fn event(number: u64) -> NewEvent {
    let id = EventId::new(Uuid::from_u128(u128::from(number) + 1));
    let event_type = EventType::versioned("something-happened", 3).expect("a type");
    NewEvent::new(id, event_type, format!(r#"{{"number":{number}}}"#)).with_tags([Tag::new("a").expect("a tag")])
}

/// One keyed commit of `count` events behind position 10, in pages of about `bytes`.
fn pages(count: u64, bytes: usize) -> Vec<Page> {
    let mut builder = PageBuilder::after(77, bytes);
    let stream = StreamId::new("thing-1").expect("a name");
    let events: Vec<_> = (0..count).map(event).collect();
    let append = Append::new().events(stream.clone(), Expected::Any, events.clone()).keyed(
        Key::new("scope", "id").expect("a key"),
        Fingerprint::new([5; 16]),
        "reply",
    );
    let mut pages: Vec<_> = builder.frame(&append, 3, Position::new(11), Position::new(10)).into_iter().collect();
    for (event, position) in events.iter().zip(11..) {
        let version = Version::new(position - 10);
        let time = Timestamp::from_micros(1_000_000);
        let (position, synced) = (Position::new(position), Position::new(10));
        let opens = position == Position::new(11);
        pages.extend(builder.record(&stream, event, version, time, position, synced, opens).0);
    }
    pages.extend(builder.finish());
    pages
}

fn records(page: &Page) -> Result<Vec<RecordedEvent>, super::Damage> {
    page.records(Position::ZERO, Position::MAX).collect()
}

#[test]
fn pages_come_back_chained_and_dense() {
    let pages = pages(20, 512);
    assert!(pages.len() > 3, "the commit spans pages");
    let mut before = 77;
    let mut next = 11;
    for page in &pages {
        let read = Page::decode(page.bytes().clone(), page.first()).expect("a page comes back");
        assert_eq!(read.previous_checksum(), before, "each page names the one before it");
        before = read.checksum();
        for record in records(&read).expect("its records are sound") {
            assert_eq!(record.position.get(), next);
            assert_eq!(record.stream(), "thing-1");
            assert_eq!((record.type_name(), record.type_version()), ("something-happened", 3));
            assert_eq!(record.payload(), format!(r#"{{"number":{}}}"#, next - 11).as_bytes());
            next += 1;
        }
        assert_eq!(read.last().get(), next - 1);
    }
    assert_eq!(next, 31, "every record came back");
    let frame = pages[0].frame_before(Position::new(11)).expect("the frame stands before its first record");
    assert_eq!(frame.keyed.map(|keyed| keyed.reply), Some("reply".into()));
    assert!(pages[0].frame_before(Position::new(12)).is_err(), "no commit begins at the second record");
}

#[test]
fn single_records_are_picked_out_of_a_page() {
    let page = pages(9, 16 * 1024).remove(0);
    let all = records(&page).expect("the page is sound");
    for wanted in [vec![11], vec![19], vec![12, 13, 17], (11..20).collect()] {
        let wanted: Vec<_> = wanted.into_iter().map(Position::new).collect();
        let mut picked = Vec::new();
        pick_records(page.bytes(), page.first(), &wanted, &mut picked).expect("they are there");
        let expected: Vec<_> = all.iter().filter(|record| wanted.contains(&record.position)).cloned().collect();
        assert_eq!(picked, expected);
    }
    let mut picked = Vec::new();
    let beyond = pick_records(page.bytes(), page.first(), &[Position::new(19), Position::new(20)], &mut picked);
    assert_eq!((beyond.expect_err("there is none").position, picked.len()), (Position::new(20), 1));
    assert!(pick_records(page.bytes(), Position::new(12), &[Position::new(12)], &mut picked).is_err(), "another page");
}

#[test]
fn no_flipped_bit_becomes_another_event_in_what_is_picked() {
    let page = pages(3, 16 * 1024).remove(0);
    let sound = records(&page).expect("the page is sound");
    let wanted: Vec<_> = sound.iter().map(|record| record.position).collect();
    let mut readable_beside_damage = 0;
    for bit in 0..page.bytes().len() * 8 {
        let mut bytes = page.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        for (position, record) in wanted.iter().zip(&sound) {
            let mut picked = Vec::new();
            match pick_records(&bytes, page.first(), &[*position], &mut picked) {
                Ok(()) => assert_eq!(picked.as_slice(), std::slice::from_ref(record), "bit {bit}"),
                Err(_) => continue,
            }
            readable_beside_damage += 1;
        }
    }
    assert!(readable_beside_damage > page.bytes().len(), "what is not hit can still be read");
}

#[test]
fn no_flipped_bit_becomes_another_event() {
    let page = pages(3, 16 * 1024).remove(0);
    let sound = records(&page).expect("the page is sound");
    for bit in 0..page.bytes().len() * 8 {
        let mut bytes = page.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(damaged) = Page::decode(bytes.into(), page.first()) else { continue };
        assert!(damaged.require_sound().is_err(), "bit {bit} is noticed");
        for record in damaged.records(Position::ZERO, Position::MAX).map_while(Result::ok) {
            assert!(sound.contains(&record), "bit {bit} made another event: {record:?}");
        }
    }
}

#[test]
fn a_page_that_is_cut_short_is_an_error() {
    let page = pages(3, 16 * 1024).remove(0);
    for length in 0..page.bytes().len() {
        let cut = Page::decode(page.bytes().slice(..length), page.first());
        assert!(cut.and_then(|cut| records(&cut)).is_err(), "{length} bytes are not the page");
    }
}

#[test]
fn rows_come_back() {
    let places = vec![(Position::new(5), 0), (Position::new(6), 1), (Position::new(300), 70_000)];
    let (mut key, mut value) = (Vec::new(), Vec::new());
    row::list_row_key(&mut key, Kind::Stream, "thing-1", 4);
    ListRow::encode_places(&mut value, &places);
    let expected = ListRow { first: 4, places };
    assert_eq!(ListRow::decode(&key, &value), Some(expected));
    for length in 0..value.len() {
        assert_eq!(ListRow::decode(&key, &value[..length]), None, "a row that is cut short is not a row");
    }

    let row =
        KeyRow { fingerprint: Fingerprint::new([3; 16]), first: Position::MAX.previous(), count: 1, slot: u32::MAX };
    let mut value = Vec::new();
    row.encode(&mut value);
    assert_eq!(KeyRow::decode(&value), Some(row));
    let totals = Totals { streams: 3, event_bytes: 1 << 40 };
    let mark = Mark { epoch: Epoch::new(2), position: Position::new(9), checksum: 8, totals };
    assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    assert_eq!(Mark::decode(&[0; 16]), None, "the mark of an older layout is not one");
}

#[test]
fn the_rows_of_a_list_stand_together_in_order() {
    let key = |kind, name: &str, first: u64| {
        let mut key = Vec::new();
        row::list_row_key(&mut key, kind, name, first);
        key
    };
    assert!(key(Kind::Tag, "a", 9) < key(Kind::Tag, "a", 300));
    assert!(key(Kind::Tag, "a", u64::MAX) < key(Kind::Tag, "a-1", 1), "whatever other names begin alike");
    let prefix = |kind| row::list_prefix_len(&key(kind, "a-1", 1)).map(|len| key(kind, "a-1", 1)[..len].to_vec());
    assert_eq!(prefix(Kind::Tag), Some(b"ga-1\0".to_vec()));
    assert_ne!(prefix(Kind::Tag), prefix(Kind::Type), "a tag is not a type of the same name");
    assert_eq!(row::list_prefix_len(b"kscope\0id"), None, "keys are no lists");
}

#[test]
fn the_store_file_comes_back_or_says_what_is_wrong() {
    let file = store_file();
    let text = file.encode();
    assert_eq!(StoreFile::decode(&text), Ok(file.clone()));
    let restored = file.restored(Epoch::new(7), Position::new(9)).restored(Epoch::new(8), Position::new(4));
    assert_eq!(StoreFile::decode(&restored.encode()), Ok(restored));
    assert!(StoreFile::decode(&text.replace("epoch 1", "epoch 2")).is_err(), "the checksum notices a change");
    assert!(StoreFile::decode("").is_err());
}

fn store_file() -> StoreFile {
    StoreFile { id: annalist_core::StoreId::new(Uuid::from_u128(7)), epoch: Epoch::FIRST, left: Vec::new() }
}

#[test]
fn a_cursor_of_an_earlier_epoch_is_good_as_far_as_nothing_it_has_seen_was_lost() {
    let twice = store_file().restored(Epoch::new(7), Position::new(9)).restored(Epoch::new(8), Position::new(4));
    let cursor = |epoch, position| annalist_core::Cursor {
        store: twice.id,
        epoch: Epoch::new(epoch),
        position: Position::new(position),
    };
    let head = cursor(8, 20);
    let located = |epoch, position| twice.locate(&cursor(epoch, position), &head).map(Position::get);
    assert_eq!((located(8, 20), located(8, 21)), (Some(20), None));
    // The second restore went back behind the first.
    assert_eq!((located(7, 4), located(7, 5), located(1, 4), located(1, 5)), (Some(4), None, Some(4), None));
    assert_eq!(located(6, 1), None, "an epoch that this log never was in");
    let other = annalist_core::Cursor { store: annalist_core::StoreId::new(Uuid::from_u128(8)), ..cursor(7, 1) };
    assert_eq!(twice.locate(&other, &head), None);
    assert_eq!(twice.locate(&annalist_core::Cursor::START, &head), Some(Position::ZERO));
}

fn backed_up(name: &str, path: &str) -> BackedUpFile {
    BackedUpFile {
        name: name.to_owned(),
        path: path.to_owned(),
        bytes: 12,
        crc32: 0xab,
        modified_nanos: 1_700_000_000_000_000_001,
    }
}

fn manifest() -> Manifest {
    let identity = store_file().restored(Epoch::new(7), Position::new(9));
    let files = vec![backed_up("000012.sst", "files/000012-000000ab.sst"), backed_up("CURRENT", "000003/CURRENT")];
    let (time, position) = (Timestamp::from_micros(5), Position::new(11));
    Manifest { number: 3, time, identity, position, checksum: 0xfe, added_bytes: 24, files }
}

#[test]
fn a_manifest_comes_back_and_names_nothing_outside_its_folder() {
    let manifest = manifest();
    let text = manifest.encode();
    assert_eq!(Manifest::decode(&text), Ok(manifest.clone()));
    assert!(Manifest::decode(&text.replace("position 11", "position 12")).is_err(), "the checksum notices a change");
    for (name, path) in [("../x", "files/x"), ("x", "../files/x"), ("x", "/x"), ("", "x"), ("a/b", "x")] {
        let bad = Manifest { files: vec![backed_up(name, path)], ..manifest.clone() };
        assert!(Manifest::decode(&bad.encode()).is_err(), "{name} {path}");
    }
}

#[test]
fn a_page_that_claims_another_number_of_records_is_an_error() {
    let page = pages(3, 16 * 1024).remove(0);
    for count in [0_u32, 2, 4, u32::MAX] {
        let mut bytes = page.bytes().to_vec();
        bytes[4..8].copy_from_slice(&count.to_le_bytes());
        let damaged = Page::decode(bytes.into(), page.first()).expect("the header can be read");
        assert_eq!(damaged.record_count(), u64::from(count));
        assert!(records(&damaged).is_err(), "{count} records are not what the page holds");
    }
}
