//! A log, a projection of it for each kind of database, and the databases.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test file uses what it needs; a helper that fails fails the test"
)]

mod databases;
mod ledger;
mod server;

use std::{fmt, future::Future, marker::PhantomData, sync::Arc, time::Duration};

use annalist::{
    Event, Recorded, SystemEnv,
    projection::{
        ApplyError, MemoryKeyValue, Projection, ProjectionOptions, ProjectionSet, ProjectionState, Projections,
        ReadModel,
    },
};
use annalist_core::{Append, Cursor, EventId, EventStore, EventType, Expected, NewEvent, StreamId};
use annalist_memory::MemoryStore;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

pub(crate) use databases::{Database, InPartitions, InPostgres, InSqlite};
pub(crate) use ledger::{Applied, InEmbedded, Ledger, LedgerInPartitions, LedgerInPostgres, LedgerInSqlite, Picky};
pub(crate) use server::Server;

/// How long anything may take: far longer than it does, so that a slow machine does not fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// An amount that the projection refuses, after it has written it.
pub(crate) const REFUSED: i64 = -13;

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(category = "account")]
pub(crate) enum AccountEvent {
    #[event(name = "money-posted")]
    Posted { cents: i64 },
}

/// Every amount as a row. Nothing in the tables keeps a row from being there twice: that is what tests look for.
pub(crate) struct Entries<D, const VERSION: u32 = 1>(PhantomData<fn() -> D>);

impl<D, const VERSION: u32> Entries<D, VERSION> {
    pub(crate) const NEW: Self = Self(PhantomData);
}

impl<D: Database, const VERSION: u32> Projection for Entries<D, VERSION> {
    const NAME: &'static str = "entries";
    const VERSION: u32 = VERSION;
    type Event = AccountEvent;
    type Model = D::Model;
    const PARTITIONS: u16 = D::PARTITIONS;

    async fn apply(
        &self,
        recorded: &Recorded<AccountEvent>,
        tx: &mut <D::Model as ReadModel>::Tx,
    ) -> Result<(), ApplyError> {
        let AccountEvent::Posted { cents } = recorded.event;
        D::post(tx, cents).await?;
        if cents == REFUSED { Err(ApplyError::new("refused")) } else { Ok(()) }
    }
}

/// Number of rows and sum of the amounts.
pub(crate) type Totals = (i64, i64);

/// What `1 ..= count` add up to.
pub(crate) fn totals(count: i64) -> Totals {
    (count, count * (count + 1) / 2)
}

/// A log and the services that follow it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) log: Arc<dyn EventStore>,
    pub(crate) options: ProjectionOptions,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut options = ProjectionOptions::default();
        (options.live_batch_events, options.rebuild_batch_events) = (16, 64);
        options.backoff_first = Duration::from_millis(10);
        Self { log: Arc::new(MemoryStore::new()), options }
    }

    /// Records amounts and tells the cursor of the last.
    pub(crate) async fn record(&self, amounts: impl IntoIterator<Item = i64>) -> Cursor {
        let mut append = Append::new();
        for cents in amounts {
            let payload = format!("{{\"cents\":{cents}}}");
            let event = NewEvent::new(EventId::generate(), EventType::new("money-posted").unwrap(), payload);
            append = append.events(StreamId::of("account", cents.rem_euclid(7)).unwrap(), Expected::Any, [event]);
        }
        self.log.append(append).await.unwrap().cursor
    }

    /// A service with one projection, whose rows are in `model`.
    pub(crate) async fn start<P: Projection>(&self, projection: P, model: P::Model) -> Projections {
        let views = Arc::new(MemoryKeyValue::new());
        let set = ProjectionSet::new(Arc::clone(&self.log), views, Arc::new(SystemEnv));
        let mut set = set.with_options(self.options.clone());
        set.register_with(projection, model);
        set.start().await.unwrap()
    }
}

/// The state of the only projection, once it is as wanted.
pub(crate) async fn state_when(
    projections: &Projections,
    what: &str,
    wanted: impl Fn(&ProjectionState) -> bool,
) -> ProjectionState {
    within(what, async {
        loop {
            let state = projections.status().await.unwrap().remove(0).state;
            if wanted(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

pub(crate) fn failed(state: &ProjectionState) -> bool {
    matches!(state, ProjectionState::Failed { .. } | ProjectionState::Foreign { .. })
}

/// Opens the view until all that was replaced is gone: a connection that read it may be on its way back still.
pub(crate) async fn only_one_is_left<D: Database>(database: &D) {
    within("what was replaced to be removed", async {
        loop {
            database.open::<Entries<D>>().await;
            if database.instances().await == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Fails instead of hanging.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The error of something that had to fail.
pub(crate) fn refused<T, E: fmt::Debug>(result: Result<T, E>) -> E {
    result.err().expect("it must be refused")
}
