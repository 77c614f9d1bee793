//! Damaged MANIFESTs. The crash matrix found that RocksDB (11.8) never comes to an end with one whose record looks like one of a
//! recycled log, and does not open one whose last append a power failure has torn: the store must not let it try.

use std::{
    fs,
    path::{Path, PathBuf},
};

use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, NewEvent, Position, Read, StoreError, StreamId,
};
use annalist_store::{KeyValue, OpenError, Store};

/// The bit that tells the kinds of records in recycled files from those in others.
const RECYCLED: u8 = 4;
const KIND_AT: usize = 6;
const HEADER_BYTES: usize = 7;

fn manifest(dir: &Path) -> PathBuf {
    dir.join(fs::read_to_string(dir.join("CURRENT")).expect("it is a database").trim_end())
}

/// Where the records begin; they are shorter than a block.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut begins = Vec::new();
    let mut at = 0;
    while let Some([_, _, _, _, l0, l1, _]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEADER_BYTES>()) {
        begins.push(at);
        at += HEADER_BYTES + usize::from(u16::from_le_bytes([*l0, *l1]));
    }
    begins
}

async fn store_with_events(dir: &Path) {
    for _ in 0..2 {
        let store = Store::open(dir).expect("it opens");
        let event = NewEvent::new(EventId::generate(), EventType::new("written").expect("a name"), "event");
        let append = Append::new().events(StreamId::new("some-stream").expect("a name"), Expected::Any, [event]);
        store.append(append).await.expect("it is recorded");
        store.close().await.expect("it closes");
    }
}

#[tokio::test]
async fn a_damaged_manifest_is_found_and_does_not_hold_up_the_opening() {
    let dir = tempfile::tempdir().expect("a folder");
    store_with_events(dir.path()).await;
    let (mut of_log, mut of_index) = (0, 0);
    for part in ["log", "index"] {
        let path = manifest(&dir.path().join(part));
        let sound = fs::read(&path).expect("it can be read");
        for at in records(&sound) {
            let mut bytes = sound.clone();
            bytes[at + KIND_AT] ^= RECYCLED;
            fs::write(&path, &bytes).expect("it can be written");
            let opened = Store::open(dir.path());
            if part == "log" {
                let Err(OpenError::Damaged(StoreError::Corrupt { detail, .. })) = opened else { panic!("{opened:?}") };
                assert!(detail.contains("MANIFEST"), "{detail}");
                of_log += 1;
                fs::write(&path, &sound).expect("it can be written");
                continue;
            }
            let store = opened.expect("an index that is damaged is made anew");
            let mut read = store.read(Read::all(Position::ZERO)).await.expect("it can be read");
            assert_eq!(read.next().await.expect("it can be read").len(), 2);
            store.close().await.expect("it closes");
            of_index += 1;
            break;
        }
    }
    assert!(of_log > 2 && of_index == 1, "{of_log} {of_index}");
    Store::open(dir.path()).expect("it opens").close().await.expect("it closes");
}

#[tokio::test]
async fn an_append_to_a_manifest_that_a_power_failure_has_torn_is_cut_off() {
    let dir = tempfile::tempdir().expect("a folder");
    store_with_events(dir.path()).await;
    for part in ["log", "index"] {
        let path = manifest(&dir.path().join(part));
        let sound = fs::read(&path).expect("it can be read");
        // A record of which the sector in the middle did not reach the disk.
        let mut record = vec![1, 2, 3, 4, 0, 8, 1];
        record.resize(HEADER_BYTES + 2048, 7);
        let mut torn = [sound.clone(), record].concat();
        let sector = (sound.len() / 512 + 2) * 512;
        torn[sector..sector + 512].fill(0);
        fs::write(&path, &torn).expect("it can be written");
        let store = Store::open(dir.path()).expect("what was never synced is not missed");
        let mut read = store.read(Read::all(Position::ZERO)).await.expect("it can be read");
        assert_eq!(read.next().await.expect("it can be read").len(), 2);
        store.close().await.expect("it closes");
    }
}

#[tokio::test]
async fn a_wrong_bit_in_the_last_record_of_the_logs_manifest_is_no_torn_end() {
    let dir = tempfile::tempdir().expect("a folder");
    store_with_events(dir.path()).await;
    let path = manifest(&dir.path().join("log"));
    let mut bytes = fs::read(&path).expect("it can be read");
    let last = records(&bytes).pop().expect("it has records");
    bytes[last + HEADER_BYTES] ^= 1;
    fs::write(&path, &bytes).expect("it can be written");
    Store::open(dir.path()).expect_err("the log does not open");
    assert_eq!(fs::read(&path).expect("it is there"), bytes, "nothing was changed");
}

#[test]
fn a_damaged_manifest_of_a_view_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    KeyValue::open(dir.path()).expect("it opens").close().expect("it closes");
    let path = manifest(dir.path());
    let mut bytes = fs::read(&path).expect("it can be read");
    bytes[KIND_AT] ^= RECYCLED;
    fs::write(&path, &bytes).expect("it can be written");
    let opened = KeyValue::open(dir.path());
    assert!(matches!(opened, Err(OpenError::Damaged(_))), "{opened:?}");
}
