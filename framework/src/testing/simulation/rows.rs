//! The rows of the views of a process that may die.

use std::sync::Arc;

use annalist_core::StoreError;

use super::life::Life;
use crate::projection::{Batch, KeyValueStore, Rows};

/// See the module.
pub(super) struct LifeRows(pub(super) Arc<Life>);

impl LifeRows {
    fn mood(&self) -> Result<(), StoreError> {
        if self.0.fails() {
            return Err(StoreError::Unavailable { why: "the simulation says so".to_owned() });
        }
        Ok(())
    }
}

impl KeyValueStore for LifeRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.mood()?;
        self.0.world.rows.get(key)
    }

    fn read(&self, reading: &mut dyn FnMut(&dyn Rows)) -> Result<(), StoreError> {
        self.mood()?;
        self.0.world.rows.read(reading)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.mood()?;
        // Whoever hears of this belongs to a process that is no more, and can do nothing about it.
        self.0.step(|| self.0.world.rows.write(batch)).unwrap_or(Err(StoreError::Closed))
    }

    fn close(&self) -> Result<(), StoreError> {
        // The next process finds them.
        Ok(())
    }
}
