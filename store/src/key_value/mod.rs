//! The key-value store that views are kept in: a RocksDB of its own, apart from the log.
//!
//! Its write-ahead log is on but not synced. A power failure may take the last batches, always from the end; a view
//! whose rows and cursor change in one batch then simply continues from an older cursor.

mod map;
mod options;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    ops::{ControlFlow, Range},
    path::Path,
    sync::Arc,
};

use annalist_core::{Direction, Position, StoreError};
use rocksdb::{ErrorKind, Snapshot, WriteBatch};

use map::Map;

use crate::{error::OpenError, rocks::Stall};

pub use options::KeyValueOptions;

/// An ordered map from bytes to bytes on disk, with atomic batches. Clones share it. All calls block.
///
/// Reads and writes of one that cannot be written any more, because its disk was full or failed, are refused or answered as they
/// can be, and it is opened again by itself as soon as that helps: whoever goes on trying to write goes on.
#[derive(Clone)]
pub struct KeyValue(Arc<Map>);

/// Changes that are made in one atomic step, in order.
#[derive(Default)]
pub struct KeyValueBatch {
    changes: WriteBatch,
    guard: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What a scan calls for each row, with key and value, until it breaks.
pub type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// One consistent state of the map, lent to [`KeyValue::read`].
pub struct KeyValueSnapshot<'a>(Snapshot<'a>);

impl KeyValue {
    /// Opens the map in a folder, making it if need be.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when it is open already, here or in another process; [`OpenError::Damaged`] when what is
    /// there cannot be trusted: delete the folder, and views are replayed from the log; [`OpenError::Engine`] otherwise.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(dir, &KeyValueOptions::default())
    }

    /// [`KeyValue::open`] with settings.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(dir: impl AsRef<Path>, settings: &KeyValueOptions) -> Result<Self, OpenError> {
        Map::open(dir.as_ref(), settings).map(|map| Self(Arc::new(map)))
    }

    /// The value under a key, as last written.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.with(|db| db.get(key).map_err(store_error))
    }

    /// Calls `reading` with one consistent state of the whole map. Writes go on meanwhile, unseen; closing waits.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn read<T>(&self, reading: impl FnOnce(&KeyValueSnapshot<'_>) -> T) -> Result<T, StoreError> {
        self.0.with(|db| Ok(reading(&KeyValueSnapshot(db.snapshot()))))
    }

    /// Makes all changes of a batch, in order, in one atomic step, if its guard holds at that moment. Waits while too much waits to
    /// be put into tables, for a minute at the longest.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was written; [`StoreError::Unavailable`] when the guard does not hold, and when it cannot be
    /// written: behind a full disk the same batch can be written some seconds after there is room.
    pub fn write(&self, batch: KeyValueBatch) -> Result<(), StoreError> {
        let KeyValueBatch { changes, guard } = batch;
        let (options, mut stall) = (options::write(), Stall::default());
        self.0.mend();
        loop {
            let written = self.0.writing(|db| {
                if let Some((key, value)) = &guard
                    && db.get(key).map_err(store_error)? != *value
                {
                    return Err(StoreError::Unavailable { why: "another writer changed the same rows".to_owned() });
                }
                // A copy, since RocksDB's crate takes a batch for good, and this one may have to be written again.
                match db.write_opt(WriteBatch::from_data(changes.data()), &options) {
                    Err(error) if stall.may_pass(db, &error) => Ok(None),
                    written => Ok(Some(written)),
                }
            })?;
            match written {
                // Others may read, write and close meanwhile.
                None => stall.wait(),
                Some(written) => return written.map_err(|error| not_written(self.0.dir(), error)),
            }
        }
    }

    /// Writes everything out, durably, and lets go of the files. Every later call is answered [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`] when something could not be written out; it is closed all the same.
    pub fn close(&self) -> Result<(), StoreError> {
        self.0.close()
    }
}

impl KeyValueBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the changes only if this key has this value (`None`: is not there).
    pub fn only_if(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.guard = Some((key, value));
    }

    /// Puts a value under a key, replacing what is there.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.changes.put(key, value);
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, key: &[u8]) {
        self.changes.delete(key);
    }

    /// Removes all keys with `start <= key < end`.
    pub fn delete_range(&mut self, start: &[u8], end: &[u8]) {
        self.changes.delete_range(start, end);
    }
}

impl KeyValueSnapshot<'_> {
    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key).map_err(store_error)
    }

    /// Visits the rows with `range.start <= key < range.end`, in the order of their keys or against it, until `visit`
    /// breaks.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read; rows visited before that are right.
    pub fn scan(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut rows = self.0.raw_iterator_opt(options::scan(range));
        match direction {
            Direction::Forward => rows.seek_to_first(),
            Direction::Backward => rows.seek_to_last(),
        }
        while let Some((key, value)) = rows.item() {
            if let ControlFlow::Break(()) = visit(key, value) {
                return Ok(());
            }
            match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.prev(),
            }
        }
        rows.status().map_err(store_error)
    }
}

fn store_error(error: rocksdb::Error) -> StoreError {
    if error.kind() == ErrorKind::Corruption {
        return damaged(error.as_ref());
    }
    StoreError::Unavailable { why: error.into_string() }
}

/// What became of a write that failed, and what to do.
fn not_written(dir: &Path, error: rocksdb::Error) -> StoreError {
    let dir = dir.display();
    let why = match error.kind() {
        ErrorKind::Corruption => return store_error(error),
        ErrorKind::Incomplete => format!("memory is full of what cannot be put into tables in {dir} ({error})"),
        _ => format!("{dir} cannot be written ({error})"),
    };
    StoreError::Unavailable { why: format!("{why}; if its disk is full make room, and it goes on") }
}

fn damaged(why: &str) -> StoreError {
    let detail = format!("the views: {why}; delete their folder, they are replayed from the log");
    StoreError::Corrupt { position: Position::ZERO, detail }
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValue").field("dir", &self.0.dir()).finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyValueBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueBatch").field("changes", &self.changes.len()).field("guard", &self.guard).finish()
    }
}

impl fmt::Debug for KeyValueSnapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueSnapshot").finish_non_exhaustive()
    }
}
