//! Rows that the transactions of an instance have in common: what one has written the next need not read.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::HashMap;

/// Most bytes of keys and values that an instance holds between transactions, about; with what the map itself needs it may
/// be twice that. Enough for the rows that change often; rows beyond are read from the key-value store.
const CACHE_BYTES_MAX: usize = 8 << 20;

/// A row as it is stored; `None`: there is no such row.
pub(super) type Stored = Option<Vec<u8>>;

/// Rows as they are stored.
#[derive(Default)]
pub(super) struct RowCache {
    rows: HashMap<Vec<u8>, Stored>,
    bytes: usize,
}

impl RowCache {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Stored> {
        self.rows.get(key)
    }

    /// Takes a row out: it is about to change.
    pub(super) fn take(&mut self, key: &[u8]) -> Option<Stored> {
        let (key, value) = self.rows.remove_entry(key)?;
        self.bytes -= size(&key, value.as_deref());
        Some(value)
    }

    /// Notes a row that is stored now.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let new = size(key, value);
        let before = self.rows.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        self.bytes -= before.map_or(0, |before| size(key, before.as_deref()));
        self.bytes += new;
        // Rows that change again come back by themselves; which of them it will be nobody knows.
        if self.bytes > CACHE_BYTES_MAX {
            *self = Self::default();
        }
    }
}

fn size(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len() + value.map_or(0, <[u8]>::len)
}

/// The cache of an instance between two transactions, with the note of the instance that it belongs to. The note is another
/// after every commit; so rows that were changed behind the back of this handle are never taken from here. A transaction
/// that is rolled back takes its cache with it.
#[derive(Clone, Default)]
pub(super) struct Cached(Arc<Mutex<Option<Left>>>);

/// What a commit left: the note that it wrote, and the cache.
type Left = (Vec<u8>, RowCache);

impl Cached {
    /// The cache for a transaction that begins when the note is this.
    pub(super) fn take(&self, note: Option<&[u8]>) -> RowCache {
        let cached = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        cached.filter(|(of, _)| Some(of.as_slice()) == note).map(|(_, cache)| cache).unwrap_or_default()
    }

    /// Leaves the cache for the next, after a commit that wrote this note.
    pub(super) fn leave(&self, note: Vec<u8>, cache: RowCache) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((note, cache));
    }
}
