//! The wiring of an app: the one place that names everything.

use std::{collections::HashSet, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{App, Store, app::Parts};
use crate::{
    aggregate::{Aggregate, Aggregates, Cache, SnapshotPolicy, SnapshotRules},
    command::{CommandLayer, CommandOptions, Commands, Executor, Gate, Layers},
    env::{Env, SystemEnv},
    outbox::Outbox,
    projection::{self, Embedded, Projection, ProjectionOptions, ProjectionSet},
};

/// Adds one projection to a set.
type Register = Box<dyn FnOnce(&mut ProjectionSet) + Send>;

/// An app before it is started.
#[must_use = "an app does nothing until it is started"]
pub struct AppBuilder {
    store: Store,
    env: Arc<dyn Env>,
    commands: CommandOptions,
    layers: Layers,
    rules: SnapshotRules,
    /// The category of two aggregates that both have snapshots, if there is one.
    clash: Option<&'static str>,
    projections: Vec<Register>,
    projection_options: ProjectionOptions,
    outboxes: Vec<Outbox>,
}

/// Why an app did not start. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The projections cannot be started.
    #[error(transparent)]
    Projections(#[from] projection::StartError),
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
}

impl AppBuilder {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            env: Arc::new(SystemEnv),
            commands: CommandOptions::default(),
            layers: Layers::default(),
            rules: SnapshotRules::default(),
            clash: None,
            projections: Vec::new(),
            projection_options: ProjectionOptions::default(),
            outboxes: Vec::new(),
        }
    }

    /// Adds a projection with an embedded view.
    pub fn projection<P: Projection<Model = Embedded>>(mut self, projection: P) -> Self {
        self.projections.push(Box::new(|set| set.register(projection)));
        self
    }

    /// Adds a projection with a read model of its own.
    pub fn projection_with<P: Projection>(mut self, projection: P, model: P::Model) -> Self {
        self.projections.push(Box::new(|set| set.register_with(projection, model)));
        self
    }

    /// Adds an outbox.
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.outboxes.push(outbox);
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

    /// Starts everything: projections catch up, outboxes connect when they can, commands are executed from now on. Must
    /// be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started.
    pub async fn start(self) -> Result<App, StartError> {
        let Self { store, env, commands, layers, rules, clash, projections, projection_options, outboxes } = self;
        if let Some(category) = clash {
            return Err(StartError::SnapshotsTwice { category });
        }
        let mut destinations = HashSet::new();
        for destination in outboxes.iter().map(Outbox::destination) {
            if !destinations.insert(destination.clone()) {
                return Err(StartError::OutboxTwice { destination });
            }
        }
        let set = ProjectionSet::new(Arc::clone(&store.events), Arc::clone(&store.views), Arc::clone(&env));
        let mut set = set.with_options(projection_options);
        for register in projections {
            register(&mut set);
        }
        let projections = set.start().await?;
        let start = |outbox: Outbox| outbox.start(Arc::clone(&store.events), Arc::clone(&store.checkpoints));
        let relays = outboxes.into_iter().map(start).collect();
        let aggregates = Aggregates::new(
            Arc::clone(&store.events),
            Arc::clone(&store.snapshots),
            rules,
            Cache::new(commands.cached_aggregates_max),
        );
        let (gate, grace) = (Gate::new(&commands), commands.shutdown_grace);
        let executor = Executor { aggregates, env, options: commands };
        let commands = Arc::new(Commands { executor, gate, layers });
        Ok(App::new(Parts { store, commands, grace, projections, relays }))
    }
}

impl fmt::Debug for AppBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppBuilder")
            .field("commands", &self.commands)
            .field("snapshots", &self.rules)
            .field("projections", &self.projections.len())
            .field("outboxes", &self.outboxes)
            .finish_non_exhaustive()
    }
}
