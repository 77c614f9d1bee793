//! A transaction on the rows of one instance.

use std::{
    collections::BTreeSet,
    fmt, mem,
    ops::{Bound, ControlFlow, Range},
    sync::{Arc, OnceLock},
};

use annalist_core::{Direction, StoreError};
use hashbrown::HashMap;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    super::{
        key::ViewKey,
        key_value::{Batch, Change, KeyValueStore, VisitRow},
        table::{RowError, Table},
    },
    Embedded,
    cache::RowCache,
    scan::{Scan, sealed::Source},
};

/// The rows of a view as a projection changes them: reads see what this transaction wrote before.
///
/// Writes are held in memory until the whole batch of events is applied, then written with the cursor in one step.
pub struct Tx {
    pub(super) model: Embedded,
    key_value: Arc<dyn KeyValueStore>,
    instance: Vec<u8>,
    /// The note of the instance when this began.
    pub(super) began: Option<Vec<u8>>,
    /// What was written here: a value, or `None` for a row that was deleted.
    written: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The keys of what was written, in order, once a scan has asked for them.
    sorted: OnceLock<BTreeSet<Vec<u8>>>,
    /// Rows as they are stored, from transactions before.
    cache: RowCache,
    /// A key in the making: it becomes one of its own only if its row was not written yet.
    key: Vec<u8>,
    /// A value in the making: it takes the place of the one before only when it is whole.
    value: Vec<u8>,
}

impl Tx {
    pub(super) fn new(
        model: Embedded,
        key_value: Arc<dyn KeyValueStore>,
        instance: Vec<u8>,
        began: Option<Vec<u8>>,
        cache: RowCache,
    ) -> Self {
        let (written, sorted) = (HashMap::new(), OnceLock::new());
        Self { model, key_value, instance, began, written, sorted, cache, key: Vec::new(), value: Vec::new() }
    }

    /// The row under a key.
    ///
    /// # Errors
    /// [`RowError`] when it cannot be read.
    pub fn get<K: ViewKey, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, RowError> {
        let row_key = table.row_key(&self.instance, key);
        match self.written.get(&row_key).or_else(|| self.cache.get(&row_key)) {
            Some(row) => row.as_deref().map(|bytes| table.decode_value(bytes)).transpose(),
            None => self.key_value.get(&row_key)?.map(|bytes| table.decode_value(&bytes)).transpose(),
        }
    }

    /// Puts a row, replacing what is there.
    ///
    /// # Errors
    /// [`RowError::Encode`] when the value cannot be written by bincode.
    pub fn put<K: ViewKey, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), RowError> {
        let value = table.encode_value(value)?;
        self.write_raw(table.row_key(&self.instance, key), Some(value));
        Ok(())
    }

    /// Deletes a row, if it is there.
    ///
    /// # Errors
    /// None at present; the result leaves room for models that write at once.
    pub fn delete<K: ViewKey, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<(), RowError> {
        self.write_raw(table.row_key(&self.instance, key), None);
        Ok(())
    }

    /// Changes a row in place, beginning with the default value if there is none, and returns what it is now.
    ///
    /// # Errors
    /// [`RowError`] when it cannot be read or written.
    pub fn update<K: ViewKey, V: Serialize + DeserializeOwned + Default>(
        &mut self,
        table: &Table<K, V>,
        key: &K,
        change: impl FnOnce(&mut V),
    ) -> Result<V, RowError> {
        // Views count: the same rows change again and again. One that was written already costs one look and no memory.
        table.write_row_key(&mut self.key, &self.instance, key);
        if let Some(Some(bytes)) = self.written.get_mut(&self.key) {
            let mut value = table.decode_value(bytes)?;
            change(&mut value);
            table.encode_value_into(&value, &mut self.value)?;
            mem::swap(bytes, &mut self.value);
            return Ok(value);
        }
        let bytes = match (self.written.get(&self.key), self.cache.take(&self.key)) {
            (Some(_), _) => None,
            (None, Some(stored)) => stored,
            (None, None) => self.key_value.get(&self.key)?,
        };
        let mut value = bytes.as_deref().map(|bytes| table.decode_value(bytes)).transpose()?.unwrap_or_default();
        change(&mut value);
        let mut bytes = bytes.unwrap_or_default();
        table.encode_value_into(&value, &mut bytes)?;
        self.write_raw(self.key.clone(), Some(bytes));
        Ok(value)
    }

    /// Several rows in the order of their keys.
    pub fn scan<K: ViewKey, V>(&self, table: &Table<K, V>) -> Scan<&Self, K, V> {
        Scan::new(self, *table)
    }

    /// Puts or deletes whatever stands under a key.
    pub(super) fn write_raw(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some(sorted) = self.sorted.get_mut()
            && !sorted.contains(&key)
        {
            sorted.insert(key.clone());
        }
        self.written.insert(key, value);
    }

    /// What is to be written, in the order of the keys; and the cache as it is once that is written.
    pub(super) fn into_changes(self) -> (Batch, RowCache) {
        let Self { written, mut cache, .. } = self;
        let mut rows: Vec<_> = written.into_iter().collect();
        // The key-value store finds the place of each key behind that of the one before.
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let changes = rows.into_iter().map(|(key, value)| {
            cache.put(&key, value.as_deref());
            match value {
                Some(value) => Change::Put(key, value),
                None => Change::Delete(key),
            }
        });
        (Batch { changes: changes.collect(), guard: None }, cache)
    }
}

impl Source for &Tx {
    fn instance(&self) -> &[u8] {
        &self.instance
    }

    /// Merges what is stored with what was written here, which stands in front of it.
    fn visit(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), RowError> {
        if range.is_empty() {
            return Ok(());
        }
        let sorted = self.sorted.get_or_init(|| self.written.keys().cloned().collect());
        let mut written = sorted.range::<[u8], _>((Bound::Included(range.start), Bound::Excluded(range.end)));
        let mut next_written = || {
            let key = match direction {
                Direction::Forward => written.next(),
                Direction::Backward => written.next_back(),
            }?;
            Some((key, self.written.get(key).and_then(Option::as_ref)))
        };
        let before = |a: &[u8], b: &[u8]| match direction {
            Direction::Forward => a < b,
            Direction::Backward => a > b,
        };
        let mut ours = next_written();
        let mut flow = ControlFlow::Continue(());
        let mut scanned = Ok::<(), StoreError>(());
        self.key_value.read(&mut |rows| {
            scanned = rows.scan(range.clone(), direction, &mut |key, value| {
                while let Some((our_key, our_value)) = ours
                    && !before(key, our_key)
                {
                    ours = next_written();
                    let replaces = our_key == key;
                    if let Some(our_value) = our_value {
                        flow = visit(our_key, our_value);
                    }
                    if flow.is_break() || replaces {
                        return flow;
                    }
                }
                flow = visit(key, value);
                flow
            });
        })?;
        scanned?;
        while let Some((key, value)) = ours
            && flow.is_continue()
        {
            if let Some(value) = value {
                flow = visit(key, value);
            }
            ours = next_written();
        }
        Ok(())
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("model", &self.model)
            .field("rows_written", &self.written.len())
            .finish_non_exhaustive()
    }
}
