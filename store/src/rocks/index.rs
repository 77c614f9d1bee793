//! The index on disk: rows derived from the log, in files that are built whole and ingested; and the cache of snapshots.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use annalist_core::{Key, Position, Version};
use bytes::Bytes;
use rocksdb::{Cache, ColumnFamily, ColumnFamilyDescriptor, DB, Options, ReadOptions, SstFileWriter};

use super::{ReadError, Tier, options};
use crate::format::{self, Damage, KeyRow, MARK_KEY, Mark, StreamRow};

const ROWS: &str = "rows";
const SNAPSHOTS: &str = "snapshots";
/// Where a chunk is written before it is ingested.
const CHUNK_FILE: &str = "chunk.sst";

/// Why a chunk could not be added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error(transparent)]
    Engine(#[from] rocksdb::Error),
    #[error("cannot remove {path}: {source}")]
    Leftover { path: PathBuf, source: io::Error },
}

fn remove_leftover(path: &Path) -> Result<(), IndexError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(IndexError::Leftover { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

pub(crate) struct IndexDb {
    db: DB,
    dir: PathBuf,
    cache: Cache,
}

impl IndexDb {
    pub(crate) fn open(dir: &Path, cache: &Cache) -> Result<Self, rocksdb::Error> {
        let families = [
            ColumnFamilyDescriptor::new(ROWS, options::index_family(cache)),
            ColumnFamilyDescriptor::new(SNAPSHOTS, Options::default()),
        ];
        let db = DB::open_cf_descriptors(&options::index_database(), dir, families)?;
        Ok(Self { db, dir: dir.to_owned(), cache: cache.clone() })
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily, ReadError> {
        let missing =
            Damage { position: Position::ZERO, detail: "a column family of the index is missing; delete the index" };
        self.db.cf_handle(name).ok_or(ReadError::Damaged(missing))
    }

    /// Up to where the index covers the log; `None` for a new one.
    pub(crate) fn mark(&self) -> Result<Option<Mark>, ReadError> {
        let Some(bytes) = self.db.get_pinned_cf(self.family(ROWS)?, MARK_KEY)? else { return Ok(None) };
        Ok(Some(Mark::decode(&bytes).ok_or_else(damaged_row)?))
    }

    /// Adds a chunk: rows sorted by key, the mark among them. All of it is there afterwards, or nothing.
    pub(crate) fn ingest<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), IndexError> {
        let path = self.dir.join(CHUNK_FILE);
        // A crash may have left the file of the chunk before, linked under its final name as well: writing into it would
        // damage that one too.
        remove_leftover(&path)?;
        let table = options::index_family(&self.cache);
        let mut file = SstFileWriter::create(&table);
        file.open(&path)?;
        for (key, value) in rows {
            file.put(key, value)?;
        }
        file.finish()?;
        if let Some(family) = self.db.cf_handle(ROWS) {
            self.db.ingest_external_file_cf_opts(family, &options::ingestion(), vec![path])?;
        }
        Ok(())
    }

    /// What is remembered of a key.
    pub(crate) fn key(&self, key: &Key, tier: Tier) -> Result<Option<KeyRow>, ReadError> {
        let mut row_key = Vec::with_capacity(2 + key.scope().len() + key.id().len());
        format::key_row_key(&mut row_key, key);
        let Some(value) = self.db.get_pinned_cf_opt(self.family(ROWS)?, row_key, &options::read(tier))? else {
            return Ok(None);
        };
        Ok(Some(KeyRow::decode(&value).ok_or_else(damaged_row)?))
    }

    /// The row that holds the event of a stream with the greatest version that is at most `version`, or an earlier one
    /// if that is not in the index; only rows at or before `mark`.
    pub(crate) fn stream_row(
        &self,
        stream: &str,
        version: Version,
        mark: Position,
        tier: Tier,
    ) -> Result<Option<StreamRow>, ReadError> {
        let mut key = Vec::with_capacity(stream.len() + 10);
        format::stream_row_key(&mut key, stream, version);
        let mut read: ReadOptions = options::read(tier);
        read.set_prefix_same_as_start(true);
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(ROWS)?, read);
        iterator.seek(&key);
        while let Some((found, value)) = iterator.item() {
            let prefix = format::stream_prefix_len(&key);
            if found.get(..prefix) != key.get(..prefix) {
                return Ok(None);
            }
            let row = StreamRow::decode(found, value).ok_or_else(damaged_row)?;
            // A chunk that was added after the caller's view was made: memory answers for it.
            if row.places.last().is_some_and(|(position, _)| *position <= mark) {
                return Ok(Some(row));
            }
            iterator.next();
        }
        iterator.status()?;
        Ok(None)
    }

    /// The row that begins with exactly this version.
    pub(crate) fn stream_row_at(
        &self,
        stream: &str,
        first: Version,
        tier: Tier,
    ) -> Result<Option<StreamRow>, ReadError> {
        let mut key = Vec::with_capacity(stream.len() + 10);
        format::stream_row_key(&mut key, stream, first);
        let Some(value) = self.db.get_pinned_cf_opt(self.family(ROWS)?, &key, &options::read(tier))? else {
            return Ok(None);
        };
        Ok(Some(StreamRow::decode(&key, &value).ok_or_else(damaged_row)?))
    }

    /// A cached snapshot.
    pub(crate) fn snapshot(&self, stream: &str) -> Result<Option<Bytes>, ReadError> {
        let value = self.db.get_pinned_cf(self.family(SNAPSHOTS)?, stream)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Replaces a cached snapshot. A crash may lose it.
    pub(crate) fn put_snapshot(&self, stream: &str, snapshot: &[u8]) -> Result<(), ReadError> {
        Ok(self.db.put_cf_opt(self.family(SNAPSHOTS)?, stream, snapshot, &options::write_unlogged())?)
    }

    /// Writes the cached snapshots out, so that they survive a clean close.
    pub(crate) fn flush_snapshots(&self) -> Result<(), ReadError> {
        Ok(self.db.flush_cf(self.family(SNAPSHOTS)?)?)
    }
}

fn damaged_row() -> ReadError {
    ReadError::Damaged(Damage {
        position: Position::ZERO,
        detail: "a row of the index is malformed; delete the index folder",
    })
}
