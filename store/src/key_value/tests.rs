//! What the disk adds to the contract that every key-value store of the framework fulfils.

use std::{fs, ops::ControlFlow};

use annalist_core::{Direction, StoreError};

use super::{KeyValue, KeyValueBatch};
use crate::error::OpenError;

fn put(store: &KeyValue, rows: &[(&str, &str)]) {
    let mut batch = KeyValueBatch::new();
    for (key, value) in rows {
        batch.put(key.as_bytes(), value.as_bytes());
    }
    store.write(batch).unwrap();
}

fn keys(store: &KeyValue, direction: Direction) -> Vec<String> {
    let mut keys = Vec::new();
    let scanned = store.read(|snapshot| {
        snapshot.scan(b"a"..b"z", direction, &mut |key, _| {
            keys.push(String::from_utf8(key.to_vec()).unwrap());
            ControlFlow::Continue(())
        })
    });
    scanned.unwrap().unwrap();
    keys
}

#[test]
fn rows_are_there_after_reopening_whether_closed_or_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyValue::open(dir.path()).unwrap();
    put(&store, &[("b", "1"), ("a", "2")]);
    store.close().unwrap();
    let store = KeyValue::open(dir.path()).unwrap();
    put(&store, &[("c", "3")]);
    drop(store);
    let store = KeyValue::open(dir.path()).unwrap();
    assert_eq!(keys(&store, Direction::Forward), ["a", "b", "c"]);
    assert_eq!(keys(&store, Direction::Backward), ["c", "b", "a"]);
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_range_is_deleted_together_with_the_other_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyValue::open(dir.path()).unwrap();
    put(&store, &[("a", ""), ("b", ""), ("c", ""), ("d", "")]);
    let mut batch = KeyValueBatch::new();
    batch.delete_range(b"b", b"d");
    batch.put(b"ba", b"");
    batch.delete(b"a");
    store.write(batch).unwrap();
    assert_eq!(keys(&store, Direction::Forward), ["ba", "d"]);
}

#[test]
fn a_snapshot_does_not_see_what_is_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyValue::open(dir.path()).unwrap();
    put(&store, &[("a", "before")]);
    let seen = store.read(|snapshot| {
        put(&store, &[("a", "after")]);
        snapshot.get(b"a").unwrap()
    });
    assert_eq!(seen.unwrap().as_deref(), Some(&b"before"[..]));
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"after"[..]));
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyValue::open(dir.path()).unwrap();
    let refused = KeyValue::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused:?}");
    let clone = store.clone();
    store.close().unwrap();
    assert_eq!(clone.get(b"a"), Err(StoreError::Closed));
    KeyValue::open(dir.path()).unwrap();
}

#[test]
fn a_damaged_file_is_an_error_never_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyValue::open(dir.path()).unwrap();
    put(&store, &[("a", "value")]);
    store.close().unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sst") {
            let mut bytes = fs::read(&path).unwrap();
            bytes.iter_mut().take(32).for_each(|byte| *byte ^= 0x5a);
            fs::write(&path, bytes).unwrap();
        }
    }
    let error = match KeyValue::open(dir.path()) {
        Ok(store) => store.get(b"a").unwrap_err(),
        Err(OpenError::Damaged(error)) => error,
        Err(other) => panic!("{other:?}"),
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}
