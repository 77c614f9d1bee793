//! One suite of cases that every event store passes, so that a framework built on the ports runs on any of them.
//!
//! A case is an async function that is given a fresh store and panics if the store breaks a rule. The macros make each
//! case a test of its own, named by its topic and what it checks:
//!
//! - [`event_store_conformance!`](crate::event_store_conformance): the ports, queries and conditions
//!   apart.
//! - [`query_conformance!`](crate::query_conformance): finding and following what matches a query.
//! - [`condition_conformance!`](crate::condition_conformance): appending unless something matches a query.
//! - [`reopening_conformance!`](crate::reopening_conformance): what a store that keeps its events must do besides. A
//!   store that cannot be reopened does without it.

#![expect(missing_docs, reason = "the name of a case says what it checks")]
#![expect(clippy::missing_panics_doc, reason = "panicking is how a case fails")]

use std::{sync::Arc, time::Duration};

use annalist_core::{Checkpoints, EventStore, Snapshots};
use async_trait::async_trait;

mod cases;

pub mod appends;
pub mod caches;
pub mod concurrency;
pub mod condition_races;
pub mod conditions;
pub mod expectations;
pub mod keys;
pub mod lifecycle;
pub mod limits;
pub mod queries;
pub mod query_reads;
pub mod query_subscriptions;
pub mod reads;
pub mod reopening;
pub mod reopening_queries;
pub mod several_streams;
pub mod statistics;
pub mod subscriptions;
pub mod times;

mod support;

/// The store under test.
pub type Store = Arc<dyn EventStore>;

/// A store under test with all its ports, and whatever it lives in.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The log.
    fn store(&self) -> Store;
    /// The snapshots beside it.
    fn snapshots(&self) -> Arc<dyn Snapshots>;
    /// The checkpoints beside it.
    fn checkpoints(&self) -> Arc<dyn Checkpoints>;
    /// Closes the store for all its handles.
    async fn close(&self);
    /// The same as something that can be opened again; `None` if it cannot.
    fn reopens(&mut self) -> Option<&mut dyn Reopens>;
}

/// In which state a closed store is opened again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reopening {
    /// As it was left.
    AsItIs,
    /// After everything that can be derived from the log was deleted.
    WithoutIndex,
}

/// A store that keeps what was recorded when it is closed.
#[async_trait]
pub trait Reopens: Subject {
    /// Closes the store and opens it again; the handles given out before stay closed.
    async fn reopen(&mut self, how: Reopening);
}

/// Far beyond what any case needs: a case that hangs fails, under its name.
const CASE_TIME_MAX: Duration = Duration::from_mins(2);

/// Runs a case, and fails it if it does not end.
pub async fn within_time(case: impl Future<Output = ()>) {
    tokio::time::timeout(CASE_TIME_MAX, case).await.expect("the case ends");
}
