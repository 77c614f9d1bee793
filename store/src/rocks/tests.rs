//! What a crash leaves behind must harm nothing.

use std::{fs, io::Write as _};

use annalist_core::{
    Append, Checkpoints as _, Epoch, EventId, EventStore as _, EventType, Expected, NewEvent, Position, StreamId,
};
use bytes::Bytes;
use rocksdb::Cache;

use super::{IndexDb, LogDb, log::PAGES};
use crate::{
    Store, StoreOptions,
    format::{MARK_KEY, Mark, Totals},
    options::Durability,
};

/// The run of seed 2000001068 found this: two flushes were under way, and the process was killed before anything stood in the newest
/// file of the write-ahead log. The one before it, which notes still needed, ended in what that file had before it was used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_file_of_the_log_that_ends_in_what_it_had_before_is_opened() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (running, killed) = (dir.path().join("running"), dir.path().join("killed"));
    let store = Store::open(&running).expect("it opens");
    let event = NewEvent::new(EventId::generate(), EventType::new("written").expect("a type"), "{}");
    let append = Append::new().events(StreamId::new("a-1").expect("a stream"), Expected::Any, [event]);
    store.append(append).await.expect("it is recorded");
    store.save("consumer", "a note".into()).await.expect("it is saved");
    {
        let shared = store.shared().expect("it is open");
        shared.log.db.flush_cf(shared.log.family(PAGES).expect("it is there")).expect("it is put into tables");
    }
    fs::create_dir_all(killed.join("log")).expect("a folder can be made");
    fs::copy(running.join("STORE"), killed.join("STORE")).expect("it can be copied");
    let mut logs = Vec::new();
    for entry in fs::read_dir(running.join("log")).expect("it can be listed") {
        let name = entry.expect("it can be listed").file_name();
        fs::copy(running.join("log").join(&name), killed.join("log").join(&name)).expect("it can be copied");
        logs.extend(name.to_string_lossy().ends_with(".log").then(|| killed.join("log").join(&name)));
    }
    store.close().await.expect("it closes");
    logs.sort();
    let [needed, newest] = logs.as_slice() else { panic!("two files: {logs:?}") };
    assert_eq!(fs::metadata(newest).expect("it is there").len(), 0, "nothing stands in the newest");
    let mut needed = fs::File::options().append(true).open(needed).expect("it can be written");
    needed.write_all(&vec![0xff; 80 * 1024]).expect("it can be written");

    let refused = LogDb::open(&killed.join("log"), &StoreOptions::default()).map(|_| ()).unwrap_err();
    assert!(refused.as_ref().contains("Column family inconsistency"), "RocksDB alone refuses it: {refused}");
    let store = Store::open(&killed).expect("it opens");
    assert_eq!(store.head().await.expect("it is known").position, Position::new(1));
    assert_eq!(store.load("consumer").await.expect("it can be read").as_deref(), Some(b"a note".as_slice()));
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn tables_of_the_log_are_as_large_with_notes_as_without() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut options = StoreOptions::default();
    (options.memtable_bytes, options.durability) = (8 * 1024 * 1024, Durability::ProcessCrash);
    let store = Store::open_with(dir.path(), options.clone()).expect("it opens");
    let (payload, note) = (vec![b'e'; 64 * 1024], Bytes::from(vec![b'n'; 64 * 1024]));
    for _ in 0..64 {
        let event = NewEvent::new(EventId::generate(), EventType::new("written").expect("a type"), payload.clone());
        let append = Append::new().events(StreamId::new("a-1").expect("a stream"), Expected::Any, [event]);
        store.append(append).await.expect("it is recorded");
        store.save("consumer", note.clone()).await.expect("it is saved");
    }
    store.close().await.expect("it closes, and puts what is in memory into tables");
    let log = LogDb::open_to_look(&dir.path().join("log"), &options).expect("it opens");
    let tables = log.db.live_files().expect("they can be listed");
    let of_pages = tables.iter().filter(|table| table.column_family_name == PAGES).count();
    assert_eq!(of_pages, 1, "four mebibytes beside as many of notes fill no memtable: {tables:?}");
}

/// The first run of the crash test found this: ingestion links the chunk's file under its final name and then removes the
/// first one. A crash in between leaves both, and the next chunk was written into the same file.
#[test]
fn a_leftover_chunk_file_is_not_written_into() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new_lru_cache(1024 * 1024);
    let mark = |position| Mark {
        epoch: Epoch::FIRST,
        position: Position::new(position),
        checksum: 0,
        totals: Totals::default(),
    };
    let ingest = |index: &IndexDb, position| {
        let value = mark(position).encode();
        index.ingest([(MARK_KEY, &value[..])].into_iter()).expect("the chunk is added");
    };
    let index = IndexDb::open(dir.path(), &cache).expect("the index opens");
    ingest(&index, 1);
    let file =
        std::fs::read_dir(dir.path()).expect("it can be listed").filter_map(Result::ok).map(|entry| entry.path());
    let chunk = file.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "sst")).expect("a chunk");
    let before = std::fs::read(&chunk).expect("it can be read");
    std::fs::hard_link(&chunk, dir.path().join("chunk.sst")).expect("a second name");

    ingest(&index, 2);
    assert_eq!(std::fs::read(&chunk).expect("it is still there"), before, "the first chunk is as it was");
    drop(index);
    let index = IndexDb::open(dir.path(), &cache).expect("the index opens again");
    assert_eq!(index.mark().expect("it can be read"), Some(mark(2)));
}
