//! The one place that knows which store is measured.

use std::{path::Path, sync::Arc};

use annalist_core::EventStore;
use annalist_memory::MemoryStore;
use annalist_store::{Store, StoreOptions};

use crate::{Failure, Settings};

/// An open store.
#[derive(Debug)]
pub enum Subject {
    /// The store on RocksDB.
    Real(Store),
    /// The store in memory, which shows what the bench itself costs.
    Memory(MemoryStore),
}

impl Subject {
    /// Opens the store that the settings ask for, in a folder. Blocks.
    ///
    /// # Errors
    /// When it does not open, or the options are not options.
    pub fn open(settings: &Settings, folder: &Path) -> Result<Self, Failure> {
        if settings.memory {
            return Ok(Self::Memory(MemoryStore::new()));
        }
        let options: StoreOptions = serde_json::from_str(&settings.options)
            .map_err(|error| format!("ANNALIST_BENCH_OPTIONS={}: {error}", settings.options))?;
        Ok(Self::Real(Store::open_with(folder, options)?))
    }

    /// The port to it.
    #[must_use]
    pub fn port(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Real(store) => Arc::new(store.clone()),
            Self::Memory(store) => Arc::new(store.clone()),
        }
    }

    /// Closes it, and opens what it left again, as a service does that is restarted; a store in memory stays as it is.
    ///
    /// # Errors
    /// When it does not close or open.
    pub async fn reopen(self, settings: &Settings, folder: &Path) -> Result<Self, Failure> {
        match self {
            Self::Real(store) => {
                store.close().await?;
                drop(store);
                Self::open(settings, folder)
            }
            memory @ Self::Memory(_) => Ok(memory),
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// When it does not close.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Real(store) => Ok(store.close().await?),
            Self::Memory(_) => Ok(()),
        }
    }
}
