//! The wiring of an app: the one place that names everything.

use std::{collections::HashSet, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{App, Store, app::Parts};
use crate::{
    aggregate::{Aggregate, Aggregates, Cache, SnapshotPolicy, SnapshotRules},
    command::{
        Circumstances, Command, CommandLayer, CommandOptions, CommandSet, Commands, Decide, Executor, Gate, Layers,
        Scope, Surroundings, name_of,
    },
    describe::Description,
    env::{Env, SystemEnv},
    event::Events,
    inbox::Inbox,
    metrics::CommandMetrics,
    outbox::Outbox,
    projection::{self, Embedded, Projection, ProjectionOptions, ProjectionSet},
    saga::{self, Ground, Saga, SagaOptions, SagaSet},
    trace::{TraceContext, Tracer},
    workflow::{self, Process, Workflow},
};

/// Adds one projection to a set.
type Register = Box<dyn FnOnce(&mut ProjectionSet) + Send>;

/// An app before it is started.
#[must_use = "an app does nothing until it is started"]
pub struct AppBuilder {
    store: Store,
    env: Arc<dyn Env>,
    tracer: Tracer,
    commands: CommandOptions,
    layers: Layers,
    surroundings: Surroundings,
    rules: SnapshotRules,
    /// The category of two aggregates that both have snapshots, if there is one.
    clash: Option<&'static str>,
    projections: Vec<Register>,
    projection_options: ProjectionOptions,
    outboxes: Vec<Outbox>,
    inboxes: Vec<Inbox>,
    description: Description,
    command_set: CommandSet,
    sagas: SagaSet,
    /// What is wrong with a workflow, if something is.
    wrong_workflow: Option<(&'static str, String)>,
}

/// Why an app did not start. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The projections cannot be started.
    #[error(transparent)]
    Projections(#[from] projection::StartError),
    /// The sagas cannot be started.
    #[error(transparent)]
    Sagas(#[from] saga::StartError),
    /// The steps of a workflow break a rule.
    #[error("the steps of the workflow `{name}` cannot be as they are: {why}")]
    Workflow {
        /// The workflow.
        name: &'static str,
        /// Which rule.
        why: String,
    },
    /// Two commands to aggregates of the same category have the same name.
    #[error("two commands to the category `{category}` are called `{command}`; rename one of them")]
    CommandTwice {
        /// The category.
        category: &'static str,
        /// The name of the commands.
        command: &'static str,
    },
    /// Two aggregates whose events have the same category both have snapshots.
    #[error("two aggregates of category `{category}` have snapshots, but a stream has only one: leave one without")]
    SnapshotsTwice {
        /// The category.
        category: &'static str,
    },
    /// Two outboxes have the same destination.
    #[error("two outboxes go to `{destination}`: make one of them, with both mappings")]
    OutboxTwice {
        /// The destination.
        destination: String,
    },
    /// Two inboxes have the same name.
    #[error("two inboxes are called `{name}`: rename the newer one, or make one of them, with both handlers")]
    InboxTwice {
        /// The name.
        name: &'static str,
    },
}

impl AppBuilder {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            env: Arc::new(SystemEnv),
            tracer: Tracer::default(),
            commands: CommandOptions::default(),
            layers: Layers::default(),
            surroundings: Surroundings::default(),
            rules: SnapshotRules::default(),
            clash: None,
            projections: Vec::new(),
            projection_options: ProjectionOptions::default(),
            outboxes: Vec::new(),
            inboxes: Vec::new(),
            description: Description::default(),
            command_set: CommandSet::default(),
            sagas: SagaSet::default(),
            wrong_workflow: None,
        }
    }

    /// Adds a projection with an embedded view.
    pub fn projection<P: Projection<Model = Embedded>>(mut self, projection: P) -> Self {
        self.describe_projection::<P>();
        self.projections.push(Box::new(|set| set.register(projection)));
        self
    }

    /// Adds a projection with a read model of its own.
    pub fn projection_with<P: Projection>(mut self, projection: P, model: P::Model) -> Self {
        self.describe_projection::<P>();
        self.projections.push(Box::new(|set| set.register_with(projection, model)));
        self
    }

    /// Adds a saga. When it is first started it begins with what is recorded from then on; see [`AppBuilder::saga_with`].
    pub fn saga<S: Saga>(self) -> Self {
        self.saga_with::<S>(SagaOptions::default())
    }

    /// Adds a saga with other options.
    pub fn saga_with<S: Saga>(mut self, options: SagaOptions) -> Self {
        let mut sent = CommandSet::default();
        S::commands(&mut sent);
        self.description.consumer("saga", S::NAME, S::VERSION, &S::Event::declared(), &sent);
        self.command_set.merge(sent);
        self.sagas.add::<S>(options);
        self
    }

    /// Adds a workflow. It is a saga: when it is first started it begins with what is recorded from then on; see
    /// [`AppBuilder::workflow_with`].
    pub fn workflow<W: Workflow>(self) -> Self {
        self.workflow_with::<W>(SagaOptions::default())
    }

    /// Adds a workflow with other options.
    pub fn workflow_with<W: Workflow>(mut self, options: SagaOptions) -> Self {
        let mut sent = CommandSet::default();
        Process::<W>::commands(&mut sent);
        self.description.consumer("workflow", W::NAME, W::VERSION, &W::Event::declared(), &sent);
        match workflow::shape::<W>() {
            Ok(steps) => self.description.workflow(W::NAME, steps),
            Err(why) => self.wrong_workflow = Some((W::NAME, why)),
        }
        self.command_set.merge(sent);
        self.sagas.add::<Process<W>>(options);
        self
    }

    /// Says that an aggregate decides about a command: so the command is described, and can be executed by name. What a saga sends it
    /// says itself, in [`Saga::commands`].
    pub fn command<A: Aggregate + Decide<C>, C: Command>(mut self) -> Self {
        let mut decided = CommandSet::default();
        decided.add::<A, C>();
        self.description.commands(&decided);
        self.command_set.merge(decided);
        self
    }

    /// Says that a scope decides about a command: so that it is described. Anything else goes without, [`App::scope`] needs no more
    /// than the type.
    pub fn scope<S: Scope<C>, C: Command>(mut self) -> Self {
        self.description.scope(name_of::<S>(), C::NAME, &S::Event::declared());
        self
    }

    fn describe_projection<P: Projection>(&mut self) {
        self.description.consumer("projection", P::NAME, P::VERSION, &P::Event::declared(), &CommandSet::default());
    }

    /// Adds an outbox.
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.description.outbox(&outbox);
        self.outboxes.push(outbox);
        self
    }

    /// Adds an inbox.
    pub fn inbox(mut self, inbox: Inbox) -> Self {
        self.description.inbox(&inbox);
        self.inboxes.push(inbox);
        self
    }

    /// Keeps snapshots of an aggregate, so that long streams are not read from their beginning.
    pub fn snapshots<A: Aggregate + Serialize + DeserializeOwned>(mut self, policy: SnapshotPolicy) -> Self {
        self.clash = self.rules.add::<A>(policy).err().or(self.clash);
        self
    }

    /// Puts a layer around every command, inside of those added before.
    pub fn layer(mut self, layer: impl CommandLayer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Asks this, whenever a command is awaited, for the circumstances that its caller has not stated: the task that awaits
    /// it may belong to a request with a correlation and a deadline. The commands of sagas state theirs.
    pub fn circumstances(self, look: impl Fn() -> Circumstances + Send + Sync + 'static) -> Self {
        Self { surroundings: Surroundings::new(look), ..self }
    }

    /// Executes commands with other options.
    pub fn command_options(self, commands: CommandOptions) -> Self {
        Self { commands, ..self }
    }

    /// Runs projections with other options.
    pub fn projection_options(self, projection_options: ProjectionOptions) -> Self {
        Self { projection_options, ..self }
    }

    /// Takes time, ids and randomness from elsewhere than the system.
    pub fn with_env(self, env: impl Env) -> Self {
        Self { env: Arc::new(env), ..self }
    }

    /// Asks this for the trace context of the current span when a command begins and when a saga records something; it is
    /// recorded with the events, unless the command was given another. Whoever handles the events links to it: see
    /// `docs/spans.md` in the repository. The server of a remote store is told with each request, and goes on with the trace.
    pub fn with_trace_context(self, current: impl Fn() -> Option<TraceContext> + Send + Sync + 'static) -> Self {
        Self { tracer: Tracer::new(current), ..self }
    }

    /// What the app consists of, as it is wired so far: for documents. Nothing need be started.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.description.clone()
    }

    /// Starts everything: projections catch up, outboxes and inboxes connect when they can, commands are executed from now on. Must
    /// be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: nothing runs, and the store is closed as by [`App::shutdown`], so that its folder can be opened again.
    pub async fn start(self) -> Result<App, StartError> {
        let store = self.store.clone();
        let started = self.start_parts().await;
        if started.is_err()
            && let Err(error) = store.close().await
        {
            tracing::warn!(%error, "the store of an app that did not start could not be closed as it should");
        }
        started
    }

    /// Whether what is wired fits together.
    fn check(&self) -> Result<(), StartError> {
        if let Some((name, why)) = &self.wrong_workflow {
            return Err(StartError::Workflow { name, why: why.clone() });
        }
        if let Some(category) = self.clash {
            return Err(StartError::SnapshotsTwice { category });
        }
        if let Some((category, command)) = self.command_set.clash() {
            return Err(StartError::CommandTwice { category, command });
        }
        let mut destinations = HashSet::new();
        for destination in self.outboxes.iter().map(Outbox::destination) {
            if !destinations.insert(destination.clone()) {
                return Err(StartError::OutboxTwice { destination });
            }
        }
        let mut names = HashSet::new();
        if let Some(name) = self.inboxes.iter().map(Inbox::name).find(|name| !names.insert(*name)) {
            return Err(StartError::InboxTwice { name });
        }
        Ok(())
    }

    async fn start_parts(self) -> Result<App, StartError> {
        self.check()?;
        let Self {
            store,
            env,
            tracer,
            commands,
            layers,
            surroundings,
            rules,
            projections,
            projection_options,
            outboxes,
            inboxes,
            description,
            command_set,
            sagas,
            ..
        } = self;
        store.trace_with(&tracer);
        let set = ProjectionSet::new(Arc::clone(&store.events), Arc::clone(&store.views), Arc::clone(&env));
        let mut set = set.with_options(projection_options);
        for register in projections {
            register(&mut set);
        }
        let projections = set.start().await?;
        let aggregates = Aggregates::new(
            Arc::clone(&store.events),
            Arc::clone(&store.snapshots),
            rules,
            Cache::new(commands.cached_aggregates_max),
        );
        let (gate, grace) = (Gate::new(&commands), commands.shutdown_grace);
        let executor = Executor { aggregates, env: Arc::clone(&env), tracer: tracer.clone(), options: commands };
        let commands = Arc::new(Commands { executor, gate, layers, surroundings, metrics: CommandMetrics::default() });
        let (events, notes, views) =
            (Arc::clone(&store.events), Arc::clone(&store.checkpoints), Arc::clone(&store.views));
        let set = Arc::new(command_set);
        let ground =
            Ground { events, notes, views, env: Arc::clone(&env), tracer, set, commands: Arc::clone(&commands) };
        let sagas = match sagas.start(ground).await {
            Ok(sagas) => sagas,
            Err(error) => {
                projections.shutdown().await;
                return Err(error.into());
            }
        };
        let start = |outbox: Outbox| outbox.start(Arc::clone(&store.events), Arc::clone(&store.checkpoints));
        let relays = outboxes.into_iter().map(start).collect();
        // Last, when everything that their commands lead to is there.
        let start = |inbox: Inbox| {
            let (log, notes) = (Arc::clone(&store.events), Arc::clone(&store.checkpoints));
            inbox.start(Arc::clone(&commands), Arc::clone(&env), log, notes)
        };
        let inboxes = inboxes.into_iter().map(start).collect();
        Ok(App::new(Parts { store, commands, grace, projections, sagas, relays, inboxes, description }))
    }
}

impl fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("commands", &self.commands)
            .field("snapshots", &self.rules)
            .field("projections", &self.projections.len())
            .field("sagas", &self.sagas)
            .field("outboxes", &self.outboxes)
            .field("inboxes", &self.inboxes)
            .finish_non_exhaustive()
    }
}
