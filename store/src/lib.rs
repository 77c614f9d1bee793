//! The event store of Annalist, embedded: an append-only log on RocksDB with one total order.
//!
//! [`Store`] implements the ports of `annalist-core`. `docs/format.md` in the repository describes every byte on disk,
//! `ARCHITECTURE.md` the way of an append. The modules stand in the order in which data flows; each uses only those
//! before it.

#[cfg(test)]
#[path = "../../tests/fuzz/harness.rs"]
mod fuzz;

mod limits;

mod concurrency;

mod error;
mod folders;
mod lock;
mod options;

mod metrics;

mod clock;
mod format;
mod pace;
mod snapshot;
mod space;
mod wal;

mod rocks;
mod tail;

mod search;

mod shared;

mod indexer;
mod sequencer;

mod replay;

mod recovery;

mod reader;
mod subscription;

mod verify;

mod observe;
mod store;

mod backup;
mod care;
mod follower;
mod import;

mod key_value;

pub use annalist_core::{Backup, DamagedFile, Finding, ImportError, Imported, Part, PastEvent, Progress, Verified};
pub use annalist_metrics::{Health, Metrics};
pub use backup::{BackupError, BackupOptions, Backups, RestoreOptions, RestoreStep, Restored};
pub use error::OpenError;
pub use follower::{FollowOptions, Follower};
pub use key_value::{KeyValue, KeyValueBatch, KeyValueOptions, KeyValueSnapshot, VisitRow};
pub use metrics::METRICS;
pub use options::{Compression, Durability, StoreOptions};
pub use store::Store;
