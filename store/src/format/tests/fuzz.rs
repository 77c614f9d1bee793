//! Whatever bytes stand where pages, rows and files should: no panic, no endless work, and what is read holds together.

use annalist_core::{EventId, Fingerprint, Position, Snapshot, Version};
use bytes::Bytes;
use uuid::Uuid;

use super::{manifest, pages, store_file as a_store_file};
use crate::{
    format::{
        Damage, Item, KeyRow, Kind, ListRow, Manifest, Mark, Page, PageHeader, StoreFile, Totals, item, list_name,
        list_prefix_len, pick_records, row, store_file,
    },
    fuzz::Target,
    snapshot,
};

const HEADER_BYTES: usize = 32;

/// Puts the checksums of a page and of its items right.
fn repair_page(bytes: &mut [u8]) {
    let mut at = HEADER_BYTES;
    while let Some(extent) = item::extent(bytes, at) {
        let checksum = crc32fast::hash(&bytes[extent.content_start..extent.end]);
        bytes[at + 4..at + 8].copy_from_slice(&checksum.to_le_bytes());
        at = extent.end;
    }
    if bytes.len() >= HEADER_BYTES {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..28]);
        hasher.update(&bytes[HEADER_BYTES..]);
        bytes[28..HEADER_BYTES].copy_from_slice(&hasher.finalize().to_le_bytes());
    }
}

fn key_of(bytes: &[u8]) -> Position {
    let first = bytes.get(8..16).and_then(|bytes| bytes.as_array::<8>());
    Position::new(first.map_or(0, |bytes| u64::from_le_bytes(*bytes)))
}

fn read_page(bytes: &[u8]) -> Result<String, Damage> {
    let key = key_of(bytes);
    let page = Page::decode(Bytes::copy_from_slice(bytes), key)?;
    let (mut records, mut frames, mut ended) = (Vec::new(), 0_u32, "whole");
    for item in page.items() {
        match item {
            Ok(Item::Record(record)) => records.push(record),
            Ok(Item::Frame(_)) => frames += 1,
            Err(damage) => ended = damage.detail,
        }
    }
    for (record, number) in records.iter().zip(0..) {
        assert_eq!(record.position.get(), key.get().saturating_add(number), "records are dense");
        // Everything in it can be looked at.
        let looked = format!("{record:?} {:?} {}", record.metadata(), record.tags().count());
        assert!(!looked.is_empty());
    }
    for record in records.iter().take(4) {
        match page.record(record.position) {
            Ok(same) => assert_eq!(&same, record, "the same, whoever asks"),
            Err(damage) => assert!(page.require_sound().is_err(), "a sound page is read: {damage:?}"),
        }
        let mut picked = Vec::new();
        if pick_records(bytes, key, &[record.position], &mut picked).is_ok() {
            assert_eq!(picked.as_slice(), std::slice::from_ref(record), "the same, whoever asks");
        }
    }
    let sound = page.require_sound().is_ok();
    if sound && ended == "whole" {
        assert_eq!(records.len() as u64, page.record_count(), "as many as the page says");
    }
    let header = PageHeader::decode(bytes, key);
    assert!(header.is_none_or(|header| header.first == page.first() && header.last == page.last()));
    let cut = match page.commit_end_at(page.last().previous()) {
        Ok(Some(end)) if end >= page.first() => match page.without_behind(end) {
            Ok(cut) => {
                assert!(cut.require_sound().is_ok() && cut.last() == end, "what is left is a page up to there");
                "cut"
            }
            Err(damage) => damage.detail,
        },
        Ok(_) => "not cut",
        Err(damage) => damage.detail,
    };
    let framed = page.frame_before(page.first()).is_ok();
    Ok(format!("{} {} {sound} {ended} {cut} {framed}", records.len().min(9), frames.min(3)))
}

#[test]
fn pages_frames_and_records() {
    let seeds = [(1, 4096), (3, 4096), (20, 512), (0, 4096)].into_iter().flat_map(|(count, bytes)| pages(count, bytes));
    Target {
        name: "page",
        seeds: seeds.map(|page| page.bytes().to_vec()).collect(),
        repair: &|bytes| repair_page(bytes),
        run: &|bytes| read_page(bytes).unwrap_or_else(|damage| damage.detail.to_owned()),
    }
    .fuzz();
}

/// The length of a key, the key, and a value.
fn read_row(bytes: &[u8]) -> String {
    let Some((length, rest)) = bytes.split_first() else { return "nothing".to_owned() };
    let (key, value) = rest.split_at(usize::from(*length).min(rest.len()));
    let list = ListRow::decode(key, value);
    if let Some(row) = &list {
        let mut again = Vec::new();
        ListRow::encode_places(&mut again, &row.places);
        assert_eq!(ListRow::decode(key, &again).as_ref(), Some(row), "a row is what it says");
        assert!(row.places.is_empty() || row.last() >= row.places[0].0, "places go one way");
    }
    let keyed = KeyRow::decode(value);
    if let Some(row) = &keyed {
        let mut again = Vec::new();
        row.encode(&mut again);
        assert_eq!(KeyRow::decode(&again).as_ref(), Some(row), "a row is what it says");
        assert!(row.last() >= row.first.previous());
    }
    let mark = Mark::decode(value);
    assert!(mark.is_none_or(|mark| Mark::decode(&mark.encode()) == Some(mark)), "a mark is what it says");
    let named = list_name(key).map(str::len);
    assert!(list_prefix_len(key).is_none_or(|length| length <= key.len()));
    let places = list.map(|row| row.places.len().min(4));
    format!("{places:?} {} {} {} {:?}", keyed.is_some(), mark.is_some(), named.is_some(), Kind::of_row(key).is_some())
}

#[test]
fn rows_of_the_index() {
    let with_key = |key: &[u8], value: &[u8]| [&[u8::try_from(key.len()).expect("short")], key, value].concat();
    let (mut key, mut places, mut keyed) = (Vec::new(), Vec::new(), Vec::new());
    row::list_row_key(&mut key, Kind::Tag, "a:1", 4);
    ListRow::encode_places(&mut places, &[(Position::new(5), 0), (Position::new(6), 1), (Position::new(300), 70_000)]);
    KeyRow { fingerprint: Fingerprint::new([3; 16]), first: Position::new(9), count: 2, slot: 3 }.encode(&mut keyed);
    let totals = Totals { streams: 3, event_bytes: 1 << 40 };
    let mark = Mark { epoch: annalist_core::Epoch::new(2), position: Position::new(9), checksum: 8, totals };
    Target {
        name: "row",
        seeds: vec![with_key(&key, &places), with_key(b"kscope\0id", &keyed), with_key(b"m", &mark.encode())],
        repair: &|_| {},
        run: &read_row,
    }
    .fuzz();
}

/// Puts the checksum of a text right.
fn repair_text(bytes: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let body = text.rsplit_once("crc32 ").map_or(text.as_str(), |(body, _)| body);
    *bytes = store_file::seal(body.to_owned()).into_bytes();
}

fn read_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // Without what was named: one kind of complaint is one outcome.
    let kind = |why: String| why.split(' ').filter(|word| word.chars().all(char::is_alphabetic)).collect::<String>();
    let store = StoreFile::decode(&text).map(|file| {
        assert_eq!(StoreFile::decode(&file.encode()).as_ref(), Ok(&file), "a file is what it says");
        file.left.len().min(3)
    });
    let manifest = Manifest::decode(&text).map(|manifest| {
        assert_eq!(Manifest::decode(&manifest.encode()).as_ref(), Ok(&manifest), "a manifest is what it says");
        for file in &manifest.files {
            let path = std::path::Path::new(&file.path);
            let stays = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            assert!(stays && !file.name.contains('/') && file.name != "..", "nothing outside its folder: {file:?}");
        }
        manifest.files.len().min(3)
    });
    format!("{:?} {:?}", store.map_err(kind), manifest.map_err(kind))
}

#[test]
fn texts_of_stores_and_backups() {
    let restored = a_store_file().restored(annalist_core::Epoch::new(7), Position::new(9));
    let texts = [a_store_file().encode(), restored.encode(), manifest().encode()];
    let seeds = texts.map(String::into_bytes).to_vec();
    Target { name: "text", seeds, repair: &repair_text, run: &read_text }.fuzz();
}

#[test]
fn snapshots() {
    let event_id = EventId::new(Uuid::from_u128(5));
    let snapshot = Snapshot { version: Version::new(3), event_id, schema: "own".to_owned(), state: "state".into() };
    let read = |bytes: &[u8]| match snapshot::decode(&Bytes::copy_from_slice(bytes)) {
        None => "none".to_owned(),
        Some(snapshot) => {
            assert_eq!(snapshot::encode(&snapshot), bytes, "a snapshot is what it says");
            format!("{} {}", snapshot.schema.len().min(9), snapshot.state.len().min(9))
        }
    };
    let repair = |bytes: &mut Vec<u8>| {
        let Some(length) = bytes.get(24..26).map(|length| usize::from(u16::from_le_bytes([length[0], length[1]])))
        else {
            return;
        };
        let at = 26 + length;
        if bytes.len() >= at + 4 {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&bytes[..at]);
            hasher.update(&bytes[at + 4..]);
            bytes[at..at + 4].copy_from_slice(&hasher.finalize().to_le_bytes());
        }
    };
    Target { name: "snapshot", seeds: vec![snapshot::encode(&snapshot)], repair: &repair, run: &read }.fuzz();
}
