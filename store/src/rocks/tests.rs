//! What a crash leaves of a chunk must not harm the one before it.

use annalist_core::{Epoch, Position};
use rocksdb::Cache;

use super::IndexDb;
use crate::format::{MARK_KEY, Mark, Totals};

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
