//! The port to an ordered key-value store, which is what embedded views are kept in.

use std::{ops::ControlFlow, ops::Range};

use annalist_core::{Direction, StoreError};

#[cfg(feature = "embedded")]
mod embedded;
mod memory;

#[cfg(test)]
mod contract;

pub use memory::MemoryKeyValue;

/// An ordered map from bytes to bytes with atomic batches. The calls block; the framework makes them where that is
/// allowed.
///
/// What a batch wrote is there whole or not at all, also after a crash; the last batches may be lost when the machine
/// goes down, but then from the end: never a batch without those before it.
pub trait KeyValueStore: Send + Sync + 'static {
    /// The value under a key, as last written.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `reading` once with one consistent state of the whole map. Writes wait or go on unseen meanwhile;
    /// `reading` must not write.
    ///
    /// # Errors
    /// [`StoreError`] when nothing can be read; `reading` was not called then.
    fn read(&self, reading: &mut dyn FnMut(&dyn Rows)) -> Result<(), StoreError>;

    /// Makes all changes of a batch, in order, in one atomic step, if its guard holds at that moment.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was written; [`StoreError::Unavailable`] when the guard does not hold.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Writes out what is in memory and lets go of the files. Every later call is answered [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`] when something could not be written out; it is closed all the same.
    fn close(&self) -> Result<(), StoreError>;
}

/// What a scan calls for each row, with key and value, until it breaks.
pub type VisitRow<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// One consistent state of a key-value store.
pub trait Rows {
    /// The value under a key.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the rows with `range.start <= key < range.end`, in the order of their keys or against it.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read; rows visited before that are right.
    fn scan(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), StoreError>;
}

/// One change of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Puts a value under a key, replacing what is there.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key, if it is there.
    Delete(Vec<u8>),
    /// Removes all keys with `start <= key < end`.
    DeleteRange(Range<Vec<u8>>),
}

/// Changes that are made in one atomic step, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Change>,
    /// Only if this key still has this value: somebody else wrote meanwhile otherwise.
    pub guard: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the changes only if this key has this value (`None`: is not there).
    #[must_use]
    pub fn only_if(mut self, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> Self {
        self.guard = Some((key.into(), value));
        self
    }

    /// Puts a value under a key, replacing what is there.
    #[must_use]
    pub fn put(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.changes.push(Change::Put(key.into(), value.into()));
        self
    }

    /// Removes a key, if it is there.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.changes.push(Change::Delete(key.into()));
        self
    }

    /// Removes all keys with `start <= key < end`.
    #[must_use]
    pub fn delete_range(mut self, range: Range<Vec<u8>>) -> Self {
        self.changes.push(Change::DeleteRange(range));
        self
    }
}

/// [`KeyValueStore::read`] with a result.
///
/// # Errors
/// [`StoreError`] when nothing can be read.
pub(crate) fn read_rows<T>(
    store: &dyn KeyValueStore,
    reading: impl FnOnce(&dyn Rows) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let (mut reading, mut result) = (Some(reading), Err(StoreError::Closed));
    store.read(&mut |rows| {
        if let Some(reading) = reading.take() {
            result = reading(rows);
        }
    })?;
    result
}

/// The first key behind all keys that begin with `prefix`; `None` if there is none, the prefix being all 255s or empty.
pub(crate) fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
