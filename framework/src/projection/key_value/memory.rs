//! A key-value store in memory: for tests, and for views that a service is content to replay at each start.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow, Range},
    sync::{Arc, PoisonError, RwLock},
};

use annalist_core::{Direction, StoreError};

use super::{Batch, Change, KeyValueStore, Rows, VisitRow};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// An ordered map in memory behind the port. Clones share the map; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct MemoryKeyValue {
    map: Arc<RwLock<Option<Map>>>,
}

impl Default for MemoryKeyValue {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryKeyValue {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self { map: Arc::new(RwLock::new(Some(Map::new()))) }
    }

    fn with<T>(&self, reading: impl FnOnce(&Map) -> T) -> Result<T, StoreError> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        map.as_ref().map(reading).ok_or(StoreError::Closed)
    }
}

impl KeyValueStore for MemoryKeyValue {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|map| map.get(key).cloned())
    }

    fn read(&self, reading: &mut dyn FnMut(&dyn Rows)) -> Result<(), StoreError> {
        self.with(|map| reading(map))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let map = map.as_mut().ok_or(StoreError::Closed)?;
        if let Some((key, value)) = batch.guard
            && map.get(&key) != value.as_ref()
        {
            return Err(StoreError::Unavailable { why: "another writer changed the same rows".to_owned() });
        }
        for change in batch.changes {
            match change {
                Change::Put(key, value) => drop(map.insert(key, value)),
                Change::Delete(key) => drop(map.remove(&key)),
                Change::DeleteRange(range) => map.retain(|key, _| !range.contains(key)),
            }
        }
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.map.write().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

impl Rows for Map {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(BTreeMap::get(self, key).cloned())
    }

    fn scan(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut rows = self.range::<[u8], _>((Bound::Included(range.start), Bound::Excluded(range.end)));
        let mut next = || match direction {
            Direction::Forward => rows.next(),
            Direction::Backward => rows.next_back(),
        };
        while let Some((key, value)) = next() {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}
