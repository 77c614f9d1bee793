//! The index on disk: rows derived from the log, in files that are built whole and ingested; and the cache of snapshots.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use annalist_core::{Key, Position};
use bytes::Bytes;
use rocksdb::{Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBRawIterator, Options, SstFileWriter};

use super::{Condition, ReadError, Tier, iterators::KeptDb, occupied, options};
use crate::format::{self, Damage, KeyRow, Kind, ListRow, MARK_KEY, Mark};

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

/// What the index holds up to its mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexCounts {
    pub(crate) mark: Position,
    /// By kind.
    places: [u64; Kind::ALL.len()],
    keys: u64,
}

impl IndexCounts {
    /// Nothing yet, of an index that covers the log up to here.
    pub(crate) fn up_to(mark: Position) -> Self {
        Self { mark, ..Self::default() }
    }

    /// Counts places of a list that are at or before `last`, if the index covers that.
    pub(crate) fn add(&mut self, kind: Kind, last: Position, count: u64) {
        let [stream, category, event_type, tag] = &mut self.places;
        let places = match kind {
            Kind::Stream => stream,
            Kind::Category => category,
            Kind::Type => event_type,
            Kind::Tag => tag,
        };
        *places += if last <= self.mark { count } else { 0 };
    }

    /// Counts the key of a commit that ends at `last`, if the index covers that.
    pub(crate) fn add_key(&mut self, last: Position) {
        self.keys += u64::from(last <= self.mark);
    }
}

pub(crate) struct IndexDb {
    pub(super) db: KeptDb,
    dir: PathBuf,
    cache: Cache,
}

impl IndexDb {
    pub(crate) fn open(dir: &Path, cache: &Cache) -> Result<Self, rocksdb::Error> {
        let db = DB::open_cf_descriptors(&options::index_database(), dir, Self::families(cache))?;
        Ok(Self::new(db, dir, cache))
    }

    pub(super) fn new(db: DB, dir: &Path, cache: &Cache) -> Self {
        Self { db: KeptDb::new(db), dir: dir.to_owned(), cache: cache.clone() }
    }

    pub(super) fn families(cache: &Cache) -> [ColumnFamilyDescriptor; 2] {
        [
            ColumnFamilyDescriptor::new(ROWS, options::index_family(cache)),
            ColumnFamilyDescriptor::new(SNAPSHOTS, Options::default()),
        ]
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily, ReadError> {
        let missing =
            Damage { position: Position::ZERO, detail: "a column family of the index is missing; delete the index" };
        self.db.db().cf_handle(name).ok_or(ReadError::Damaged(missing))
    }

    /// Up to where the index covers the log; `None` for a new one, and for one of another layout.
    pub(crate) fn mark(&self) -> Result<Option<Mark>, ReadError> {
        let bytes = self.db.db().get_pinned_cf(self.family(ROWS)?, MARK_KEY)?;
        Ok(bytes.and_then(|bytes| Mark::decode(&bytes)))
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
        if let Some(family) = self.db.db().cf_handle(ROWS) {
            self.db.db().ingest_external_file_cf_opts(family, &options::ingestion(), vec![path])?;
        }
        self.db.forget_iterators();
        Ok(())
    }

    /// Reads every row, with its checksums, and counts what is there.
    pub(crate) fn count(&self) -> Result<IndexCounts, ReadError> {
        let mut iterator = self.whole()?;
        let mut counts = IndexCounts::up_to(Position::MAX);
        let mut mark = Position::ZERO;
        iterator.seek_to_first();
        while let Some((key, value)) = iterator.item() {
            if key == MARK_KEY {
                mark = Mark::decode(value).ok_or_else(damaged_row)?.position;
            } else if let Some(kind) = Kind::of_row(key) {
                let row = ListRow::decode(key, value).ok_or_else(damaged_row)?;
                counts.add(kind, row.last(), row.places.len() as u64);
            } else {
                counts.add_key(KeyRow::decode(value).ok_or_else(damaged_row)?.last());
            }
            iterator.next();
        }
        iterator.status()?;
        Ok(IndexCounts { mark, ..counts })
    }

    /// Whether there is no row in it.
    pub(crate) fn is_empty(&self) -> Result<bool, ReadError> {
        let mut iterator = self.whole()?;
        iterator.seek_to_first();
        iterator.status()?;
        Ok(!iterator.valid())
    }

    /// Shows the names of the streams from `begin` on, in order, while `more` says so.
    pub(crate) fn stream_names(&self, begin: &str, mut more: impl FnMut(&str) -> bool) -> Result<(), ReadError> {
        let mut iterator = self.whole()?;
        let mut key = Vec::new();
        format::list_row_key(&mut key, Kind::Stream, begin, 0);
        iterator.seek(&key);
        while let Some(found) = iterator.key().filter(|key| Kind::of_row(key) == Some(Kind::Stream)) {
            let name = format::list_name(found).ok_or_else(damaged_row)?.to_owned();
            if !more(&name) {
                return Ok(());
            }
            key.clear();
            format::list_row_key(&mut key, Kind::Stream, &name, u64::MAX);
            iterator.seek(&key);
            if iterator.key() == Some(&key) {
                iterator.next();
            }
        }
        Ok(iterator.status()?)
    }

    /// An iterator over the rows of all lists.
    fn whole(&self) -> Result<DBRawIterator<'_>, ReadError> {
        Ok(self.db.db().raw_iterator_cf_opt(self.family(ROWS)?, options::whole()))
    }

    /// What is remembered of a key.
    pub(crate) fn key(&self, key: &Key, tier: Tier) -> Result<Option<KeyRow>, ReadError> {
        let mut row_key = Vec::with_capacity(2 + key.scope().len() + key.id().len());
        format::key_row_key(&mut row_key, key);
        let Some(value) = self.db.db().get_pinned_cf_opt(self.family(ROWS)?, row_key, &options::read(tier))? else {
            return Ok(None);
        };
        Ok(Some(KeyRow::decode(&value).ok_or_else(damaged_row)?))
    }

    /// Rows of a list, oldest first, while `more` says so of the last one: from the last row that begins at or before ordinal
    /// `at` on, or from the first one if none does.
    pub(crate) fn rows_forward(
        &self,
        list: (Kind, &str),
        at: u64,
        tier: Tier,
        mut more: impl FnMut(ListRow) -> bool,
    ) -> Result<(), ReadError> {
        self.rows(list, at, tier, |rows| {
            // No row begins before the first event.
            let entered = at > 1 && {
                rows.iterator.seek_for_prev(&rows.key);
                rows.iterator.status()?;
                rows.at_row()
            };
            if !entered {
                rows.iterator.seek(&rows.key);
            }
            while let Some(row) = rows.row()? {
                if !more(row) {
                    return Ok(());
                }
                rows.iterator.next();
            }
            Ok(rows.iterator.status()?)
        })
    }

    /// Rows of a list, newest first, while `more` says so of the last one: from the last row that begins at or before ordinal
    /// `at` on.
    pub(crate) fn rows_backward(
        &self,
        list: (Kind, &str),
        at: u64,
        tier: Tier,
        mut more: impl FnMut(ListRow) -> bool,
    ) -> Result<(), ReadError> {
        self.rows(list, at, tier, |rows| {
            rows.iterator.seek_for_prev(&rows.key);
            while let Some(row) = rows.row()? {
                if !more(row) {
                    return Ok(());
                }
                rows.iterator.prev();
            }
            Ok(rows.iterator.status()?)
        })
    }

    fn rows(
        &self,
        (kind, name): (Kind, &str),
        at: u64,
        tier: Tier,
        look: impl FnOnce(Rows<'_, '_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut key = Vec::with_capacity(name.len() + 10);
        format::list_row_key(&mut key, kind, name, at);
        self.db.iterate(self.family(ROWS)?, tier, |iterator| look(Rows { iterator, key }))
    }

    /// Replaces or removes a row: what a test finds again.
    #[cfg(test)]
    pub(crate) fn damage(&self, key: &[u8], value: Option<&[u8]>) {
        let (db, family) = (self.db.db(), self.family(ROWS).expect("it is there"));
        let written = value.map_or_else(|| db.delete_cf(family, key), |value| db.put_cf(family, key, value));
        written.expect("it can be written");
        self.db.forget_iterators();
    }

    /// What the index occupies on the disk.
    pub(crate) fn disk_bytes(&self) -> Result<u64, ReadError> {
        Ok(occupied(&self.dir)?)
    }

    /// How the database is doing.
    pub(crate) fn condition(&self) -> Condition {
        let db = self.db.db();
        let families: Vec<&ColumnFamily> = [ROWS, SNAPSHOTS].iter().filter_map(|name| db.cf_handle(name)).collect();
        Condition::of(db, &families)
    }

    /// What the cached blocks take.
    pub(crate) fn cached_bytes(&self) -> usize {
        self.cache.get_usage()
    }

    /// A cached snapshot.
    pub(crate) fn snapshot(&self, stream: &str) -> Result<Option<Bytes>, ReadError> {
        let value = self.db.db().get_pinned_cf(self.family(SNAPSHOTS)?, stream)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Replaces a cached snapshot. A crash may lose it.
    pub(crate) fn put_snapshot(&self, stream: &str, snapshot: &[u8]) -> Result<(), ReadError> {
        Ok(self.db.db().put_cf_opt(self.family(SNAPSHOTS)?, stream, snapshot, &options::write_unlogged())?)
    }

    /// Writes the cached snapshots out, so that they survive a clean close.
    pub(crate) fn flush_snapshots(&self) -> Result<(), ReadError> {
        Ok(self.db.db().flush_cf(self.family(SNAPSHOTS)?)?)
    }
}

/// The rows of one list, and where it is to be entered.
struct Rows<'i, 'db> {
    iterator: &'i mut DBRawIterator<'db>,
    key: Vec<u8>,
}

impl Rows<'_, '_> {
    /// Whether the iterator stands at a row of the list.
    fn at_row(&self) -> bool {
        let list = self.key.len() - size_of::<u64>();
        let is_of_list = |found: &[u8]| found.len() == self.key.len() && found.get(..list) == self.key.get(..list);
        self.iterator.key().is_some_and(is_of_list)
    }

    /// The row at which the iterator stands.
    fn row(&self) -> Result<Option<ListRow>, ReadError> {
        match self.iterator.item().filter(|_| self.at_row()) {
            None => Ok(None),
            Some((key, value)) => ListRow::decode(key, value).map(Some).ok_or_else(damaged_row),
        }
    }
}

fn damaged_row() -> ReadError {
    ReadError::Damaged(Damage {
        position: Position::ZERO,
        detail: "a row of the index is malformed; delete the index folder",
    })
}
