//! The embedded key-value store of `annalist-store` behind the port.

use std::ops::Range;

use annalist_core::{Direction, StoreError};
use annalist_store::{KeyValue, KeyValueBatch, KeyValueSnapshot};

use super::{Batch, Change, KeyValueStore, Rows, VisitRow};

impl KeyValueStore for KeyValue {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(key)
    }

    fn read(&self, reading: &mut dyn FnMut(&dyn Rows)) -> Result<(), StoreError> {
        self.read(|snapshot| reading(snapshot))
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut changes = KeyValueBatch::new();
        if let Some((key, value)) = batch.guard {
            changes.only_if(key, value);
        }
        for change in batch.changes {
            match change {
                Change::Put(key, value) => changes.put(&key, &value),
                Change::Delete(key) => changes.delete(&key),
                Change::DeleteRange(range) => changes.delete_range(&range.start, &range.end),
            }
        }
        self.write(changes)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.close()
    }
}

impl Rows for KeyValueSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(key)
    }

    fn scan(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        self.scan(range, direction, visit)
    }
}
