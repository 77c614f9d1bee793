//! Folders of stores with something wrong in them. `tests/tests/bit_flips.rs` turns single bits everywhere.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use annalist_core::{Append, EventId, EventStore as _, EventType, Expected, NewEvent, Position, StreamId};

use super::{Examined, FileFinding};
use crate::{OpenError, Store, StoreOptions};

const EVENTS: u64 = 400;

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    (options.memtable_bytes, options.page_bytes) = (64 * 1024, 1024);
    options
}

/// A closed store whose log has several tables.
async fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let store = Store::open_with(&dir, options()).unwrap();
    for number in 0..EVENTS {
        let payload: Vec<u8> =
            (0..1000_u64).flat_map(|at| (number * 7919 + at * at).to_le_bytes()).take(1000).collect();
        let event = NewEvent::new(EventId::generate(), EventType::new("filled").unwrap(), payload);
        let stream = StreamId::new("disk-1").unwrap();
        store.append(Append::new().events(stream, Expected::Any, [event])).await.unwrap();
    }
    store.close().await.unwrap();
    (folder, dir)
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.path().is_dir() {
            all.extend(contents(&entry.path()));
        } else {
            all.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// Looks, and sees to it that nothing is changed by that.
fn examine(dir: &Path) -> Examined {
    let before = contents(dir);
    let examined = Store::examine(dir, &options()).unwrap();
    assert!(contents(dir) == before, "looking changes nothing");
    examined
}

fn tables(dir: &Path) -> Vec<PathBuf> {
    let mut tables: Vec<PathBuf> = contents(&dir.join("log")).into_keys().collect();
    tables.retain(|path| path.extension().is_some_and(|kind| kind == "sst"));
    tables
}

fn positions(examined: &Examined) -> u64 {
    examined.readable.iter().map(|(first, last)| last.get() + 1 - first.get()).sum()
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    let (_folder, dir) = filled().await;
    assert!(tables(&dir).len() > 3);
    let whole = vec![(Position::new(1), Position::new(EVENTS))];
    assert_eq!(examine(&dir), Examined { findings: Vec::new(), readable: whole });
}

#[tokio::test]
async fn a_store_that_is_open_is_left_alone() {
    let (_folder, dir) = filled().await;
    let store = Store::open_with(&dir, options()).unwrap();
    let refused = Store::examine(&dir, &options()).unwrap_err();
    assert!(matches!(&refused, OpenError::Locked { holder, .. } if holder.starts_with("process ")), "{refused:?}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_gone_is_named_and_the_others_are_read() {
    let (_folder, dir) = filled().await;
    let tables = tables(&dir);
    let gone = &tables[tables.len() / 2];
    fs::remove_file(gone).unwrap();
    let opened = Store::open_with(&dir, options());
    assert!(opened.is_err(), "{opened:?}");
    let examined = examine(&dir);
    let file = Path::new("log").join(gone.file_name().unwrap());
    let named: Vec<&FileFinding> = examined.findings.iter().filter(|finding| finding.file == file).collect();
    assert!(!named.is_empty() && named.len() == examined.findings.len(), "{examined:?}");
    let read = positions(&examined);
    assert!(examined.readable.len() == 2 && read > EVENTS / 2 && read < EVENTS, "{examined:?}");
    let lost = examined.readable[0].1.next();
    assert!(named.iter().any(|finding| finding.position <= lost.next()), "where it begins: {examined:?}");
}

#[tokio::test]
async fn what_says_which_tables_the_log_has_is_named() {
    let (_folder, dir) = filled().await;
    fs::write(dir.join("log/CURRENT"), "MANIFEST-999999\n").unwrap();
    fs::write(dir.join("STORE"), "annalist store\nformat 1\n").unwrap();
    let examined = examine(&dir);
    let files: Vec<&Path> = examined.findings.iter().map(|finding| &*finding.file).collect();
    assert_eq!(files, [Path::new("STORE"), Path::new("log/CURRENT")]);
    assert_eq!(examined.readable, [(Position::new(1), Position::new(EVENTS))], "the newest MANIFEST is taken");
}
