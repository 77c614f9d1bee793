//! A running app.

use std::{fmt, sync::Arc, time::Duration};

use annalist_core::{Cursor, StoreError};
use annalist_metrics::Metrics;
use futures_util::future::join_all;

use super::{AppBuilder, AppHealth, Store, observe};
use crate::{
    aggregate::{Aggregate, LoadError, Loaded, State, stream_of},
    command::{Commands, InScope, On},
    describe::Description,
    inbox::RunningInbox,
    outbox::Relay,
    projection::{Embedded, Projection, Projections, ViewError, ViewHandle},
    saga::{Saga, SagaError, SagaHandle, Sagas},
    workflow::{Process, Workflow, WorkflowHandle},
};

/// A running app: it executes commands, keeps views up to date and carries integration events out. Clones share it.
///
/// ```
/// # use annalist::{App, Aggregate, Command, Context, Decide, Decision, Event, State, Store, emit};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Clone, Debug)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "money-deposited")] Deposited { cents: u64 } }
/// # #[derive(Default)]
/// # struct Account { cents: u64 }
/// # impl State for Account {
/// #     type Event = AccountEvent;
/// #     fn evolve(&mut self, AccountEvent::Deposited { cents }: &AccountEvent) { self.cents += cents }
/// # }
/// # impl Aggregate for Account { type Id = String; }
/// # #[derive(Command, Serialize, Deserialize)]
/// # #[command(name = "deposit")]
/// # struct Deposit { cents: u64 }
/// # #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
/// # enum Never {}
/// # impl Decide<Deposit> for Account {
/// #     type Rejection = Never;
/// #     type Reply = u64;
/// #     fn decide(&self, command: &Deposit, _: &Context) -> Result<Decision<AccountEvent, u64>, Never> {
/// #         Ok(emit(AccountEvent::Deposited { cents: command.cents }).reply(self.cents + command.cents))
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::open(Store::memory()).start().await?;
/// let receipt = app.on::<Account>("alice".to_owned()).execute(Deposit { cents: 50 }).key("request-1").await?;
/// assert_eq!((receipt.reply, receipt.events), (50, 1));
/// app.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
}

/// What an app consists of.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) commands: Arc<Commands>,
    pub(super) grace: Duration,
    pub(super) projections: Projections,
    pub(super) sagas: Sagas,
    pub(super) relays: Vec<Relay>,
    pub(super) inboxes: Vec<RunningInbox>,
    pub(super) description: Description,
}

impl App {
    /// An app on a store, to be told what belongs to it and then started.
    pub fn open(store: Store) -> AppBuilder {
        AppBuilder::new(store)
    }

    pub(super) fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// One aggregate, to be told something: `app.on::<Account>(id).execute(command).await`.
    pub fn on<A: Aggregate>(&self, id: A::Id) -> On<A> {
        On::new(Arc::clone(&self.parts.commands), id)
    }

    /// A scope, to be told something: `app.scope::<LargeWithdrawals>().execute(command).await`.
    pub fn scope<S: State>(&self) -> InScope<S> {
        InScope::new(Arc::clone(&self.parts.commands))
    }

    /// An aggregate as its stream says it is now. Decisions do not need this: they load it themselves.
    ///
    /// # Errors
    /// [`LoadError`] when the stream cannot be read.
    pub async fn load<A: Aggregate>(&self, id: &A::Id) -> Result<Loaded<A>, LoadError> {
        self.parts.commands.executor.aggregates.load(&stream_of::<A>(id)?).await
    }

    /// The view of a projection, to be read.
    ///
    /// # Errors
    /// [`ViewError::Unknown`] when the projection does not belong to the app.
    pub fn view<P: Projection<Model = Embedded>>(&self) -> Result<ViewHandle, ViewError> {
        self.parts.projections.view::<P>()
    }

    /// The projections: how far they are; to rebuild one.
    #[must_use]
    pub fn projections(&self) -> &Projections {
        &self.parts.projections
    }

    /// A saga, to be looked at and operated.
    ///
    /// # Errors
    /// [`SagaError::Unknown`] when the saga does not belong to the app.
    pub fn saga<S: Saga>(&self) -> Result<SagaHandle, SagaError> {
        self.parts.sagas.named(S::NAME)
    }

    /// A workflow, to be looked at and operated.
    ///
    /// # Errors
    /// [`SagaError::Unknown`] when the workflow does not belong to the app.
    pub fn workflow<W: Workflow>(&self) -> Result<WorkflowHandle<W>, SagaError> {
        self.saga::<Process<W>>().map(WorkflowHandle::new)
    }

    /// The sagas, workflows among them: how far they are; to operate one by its name.
    #[must_use]
    pub fn sagas(&self) -> &Sagas {
        &self.parts.sagas
    }

    /// The relays of the outboxes, in the order in which those were added.
    #[must_use]
    pub fn relays(&self) -> &[Relay] {
        &self.parts.relays
    }

    /// The inboxes, in the order in which they were added.
    #[must_use]
    pub fn inboxes(&self) -> &[RunningInbox] {
        &self.parts.inboxes
    }

    /// What the app consists of: for documents.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.parts.description.clone()
    }

    /// The store, for what no aggregate or view does.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    /// The last position of the log.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told.
    pub async fn head(&self) -> Result<Cursor, StoreError> {
        self.parts.store.events.head().await
    }

    /// Whether its parts work, as of now: for a readiness probe. Asks no disk and nothing outside.
    #[must_use]
    pub fn health(&self) -> AppHealth {
        let Parts { store, commands, projections, sagas, relays, .. } = &*self.parts;
        AppHealth::of(store.health(), commands, projections, sagas, relays)
    }

    /// Everything that is measured, the store's metrics included, as of now. [`Metrics::to_text`] makes of it what Prometheus
    /// reads; `docs/metrics.md` in the repository says what each means. What cannot be read is left out.
    pub async fn metrics(&self) -> Metrics {
        let Parts { store, commands, projections, sagas, relays, inboxes, .. } = &*self.parts;
        let mut metrics = store.metrics().await;
        self.health().collect(&mut metrics);
        observe::commands(commands, &mut metrics);
        observe::projections(projections, &mut metrics).await;
        observe::sagas(sagas, &mut metrics).await;
        observe::relays(relays, &*store.events, &*commands.executor.env, &mut metrics).await;
        observe::inboxes(inboxes, &mut metrics);
        metrics
    }

    /// Takes nothing more in: inboxes take nothing more from their brokers and finish what they are at, sagas take no more
    /// events and finish the command that they are at, no more commands are taken, those in flight are finished, within the grace of [`CommandOptions`](crate::CommandOptions::shutdown_grace). The log
    /// grows no more then; projections and relays go on. A shutdown begins with this; whoever wants outboxes to be empty first
    /// calls it before, and waits for [`Relay::drained`].
    pub async fn stop_intake(&self) {
        let Parts { commands, grace, sagas, inboxes, .. } = &*self.parts;
        join_all(inboxes.iter().map(RunningInbox::shutdown)).await;
        sagas.stop().await;
        if !commands.gate.close(*grace).await {
            tracing::warn!(?grace, "commands are still in flight; closing the store under them");
        }
    }

    /// Ends all of it, in order: inboxes take nothing more from their brokers and finish what they are at, sagas take no
    /// more events and finish the command that they are at, no more commands are
    /// taken, those in flight are finished, projections commit the batch that they are at, relays finish their window, the
    /// store is closed. Whatever does not end within the grace of its options is dropped; a command that is still in
    /// flight then is told so by the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store could not be closed as it should.
    pub async fn shutdown(&self) -> Result<(), StoreError> {
        self.stop_intake().await;
        let Parts { store, projections, sagas, relays, .. } = &*self.parts;
        projections.shutdown().await;
        sagas.shutdown_rows().await;
        join_all(relays.iter().map(Relay::shutdown)).await;
        store.close().await
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("projections", &self.parts.projections)
            .field("sagas", &self.parts.sagas)
            .field("relays", &self.parts.relays.len())
            .field("inboxes", &self.parts.inboxes.len())
            .finish_non_exhaustive()
    }
}
