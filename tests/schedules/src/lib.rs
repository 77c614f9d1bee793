//! The hand-offs of the store under schedules that a scheduler chooses (ADR 62).
//!
//! The store's own sources are compiled here once more, with doubles of what their threads meet at, and with a disk in
//! memory. They stand in the order of the store's `lib.rs`; what follows them drives and judges them.

// The tests within those sources belong to the store.
#![cfg(not(test))]
#![expect(dead_code, unused_imports, reason = "most of the sources belong to the store, which uses all of them")]

mod limits;

mod concurrency;

#[path = "../../../store/src/error.rs"]
mod error;
mod lock;
#[path = "../../../store/src/options.rs"]
mod options;

#[path = "../../../store/src/metrics.rs"]
mod metrics;

mod clock;
#[path = "../../../store/src/format/mod.rs"]
mod format;
#[path = "../../../store/src/pace.rs"]
mod pace;
#[path = "../../../store/src/snapshot.rs"]
mod snapshot;
#[path = "../../../store/src/space.rs"]
mod space;

mod rocks;
#[path = "../../../store/src/tail/mod.rs"]
mod tail;

#[path = "../../../store/src/search.rs"]
mod search;

#[path = "../../../store/src/shared/mod.rs"]
mod shared;

#[path = "../../../store/src/indexer.rs"]
mod indexer;
#[path = "../../../store/src/sequencer/mod.rs"]
mod sequencer;

mod recovery;

#[path = "../../../store/src/reader/mod.rs"]
mod reader;
#[path = "../../../store/src/subscription.rs"]
mod subscription;

// Its tests would be looked for in the wrong folder.
#[rustfmt::skip]
#[path = "../../../store/src/observe.rs"]
mod observe;
#[path = "../../../store/src/store.rs"]
mod store;

pub mod census;
mod following;
mod world;

mod audit;
pub mod explore;
pub mod scenarios;
pub mod small;

pub use error::OpenError;
pub use metrics::METRICS;
pub use options::{Compression, Durability, StoreOptions};
pub use rocks::Faults;
pub use store::Store;
