//! The key-value store that views are kept in: a RocksDB of its own, apart from the log.
//!
//! Its write-ahead log is on but not synced. A power failure may take the last batches, always from the end; a view
//! whose rows and cursor change in one batch then simply continues from an older cursor.

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
use parking_lot::{Mutex, RwLock};
use rocksdb::{DB, ErrorKind, Snapshot, WriteBatch};

use crate::{error::OpenError, rocks::Stall, wal};

pub use options::KeyValueOptions;

/// An ordered map from bytes to bytes on disk, with atomic batches. Clones share it. All calls block.
#[derive(Clone)]
pub struct KeyValue {
    /// Readers and writers hold the lock shared; only closing takes it alone.
    db: Arc<RwLock<Option<DB>>>,
    /// Held by a write, so that nothing comes between its guard and itself. RocksDB writes one after the other anyway.
    writing: Arc<Mutex<()>>,
}

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
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(OpenError::io("make the folder", dir))?;
        if wal::mend_manifest(dir).map_err(OpenError::io("mend the MANIFEST in", dir))? {
            return Err(OpenError::Damaged(damaged("the MANIFEST is damaged")));
        }
        let db = DB::open(&options::database(settings), dir).map_err(|error| open_error(dir, error))?;
        Ok(Self { db: Arc::new(RwLock::new(Some(db))), writing: Arc::default() })
    }

    fn with<T>(&self, work: impl FnOnce(&DB) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.db.read().as_ref().map_or(Err(StoreError::Closed), work)
    }

    /// The value under a key, as last written.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|db| db.get(key).map_err(store_error))
    }

    /// Calls `reading` with one consistent state of the whole map. Writes go on meanwhile, unseen; closing waits.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn read<T>(&self, reading: impl FnOnce(&KeyValueSnapshot<'_>) -> T) -> Result<T, StoreError> {
        self.with(|db| Ok(reading(&KeyValueSnapshot(db.snapshot()))))
    }

    /// Makes all changes of a batch, in order, in one atomic step, if its guard holds at that moment. Waits while too much waits to
    /// be put into tables, for a minute at the longest.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was written; [`StoreError::Unavailable`] when the guard does not hold, and when it cannot be
    /// written: behind a full disk the same batch can be written once there is room, without opening the map again.
    pub fn write(&self, batch: KeyValueBatch) -> Result<(), StoreError> {
        let KeyValueBatch { changes, guard } = batch;
        let (options, mut stall) = (options::write(), Stall::default());
        loop {
            let written = self.with(|db| {
                let _writing = self.writing.lock();
                if let Some((key, value)) = &guard
                    && db.get(key).map_err(store_error)? != *value
                {
                    return Err(StoreError::Unavailable { why: "another writer changed the same rows".to_owned() });
                }
                match db.write_opt(WriteBatch::from_data(changes.data()), &options) {
                    Err(error) if stall.may_pass(db, &error) => Ok(false),
                    written => written.map(|()| true).map_err(|error| not_written(db.path(), error)),
                }
            })?;
            if written {
                return Ok(());
            }
            // Others may read, write and close meanwhile.
            stall.wait();
        }
    }

    /// Writes everything out, durably, and lets go of the files. Every later call is answered [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`] when something could not be written out; it is closed all the same.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(db) = self.db.write().take() else { return Ok(()) };
        let flushed = db.flush().map_err(store_error);
        db.cancel_all_background_work(true);
        flushed
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

fn open_error(dir: &Path, error: rocksdb::Error) -> OpenError {
    let detail = error.to_string();
    match error.kind() {
        // RocksDB has no kind of its own for a held lock.
        ErrorKind::IOError if detail.contains("lock") => {
            OpenError::Locked { dir: dir.to_owned(), holder: "another process, or by this one".to_owned() }
        }
        ErrorKind::Corruption => OpenError::Damaged(store_error(error)),
        _ => OpenError::Engine { dir: dir.to_owned(), detail },
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
        let db = self.db.read();
        f.debug_struct("KeyValue").field("dir", &db.as_ref().map(DB::path)).finish_non_exhaustive()
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
