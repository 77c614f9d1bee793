//! The projections of a service as they are wired and started.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex},
};

use annalist_core::EventStore;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::{
    applier::{Applier, Stop},
    control::{Entry, Inner},
    embedded::Embedded,
    instance::{Bound, Instance},
    key_value::KeyValueStore,
    model::{ModelError, Projection},
    options::{CONTROL_QUEUE, ProjectionOptions},
    parking::ParkedKeys,
    runner::Runner,
    running::Projections,
    status::{Published, Rate},
    table::is_name,
};
use crate::{env::Env, metrics::ProjectionMetrics};

type Opening = BoxFuture<'static, Result<Arc<dyn Instance>, ModelError>>;

/// The projections of a service before they start.
pub struct ProjectionSet {
    events: Arc<dyn EventStore>,
    views: Arc<dyn KeyValueStore>,
    options: ProjectionOptions,
    env: Arc<dyn Env>,
    registered: Vec<Registered>,
}

struct Registered {
    name: &'static str,
    version: u32,
    type_id: TypeId,
    open: Box<dyn FnOnce(Arc<dyn KeyValueStore>) -> Opening + Send>,
}

/// Why projections did not start. None of them runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A projection's name breaks the rule for names.
    #[error("`{name}` cannot be the name of a projection: a name has 1 to 64 bytes, none of them zero")]
    Name {
        /// The name.
        name: &'static str,
    },
    /// Two projections have the same name. Rename one.
    #[error("two projections are called `{name}`; rename one of them")]
    Twice {
        /// The name.
        name: &'static str,
    },
    /// A projection parks what it cannot apply, and its read model keeps no parked events. Use another read model, or let
    /// the projection stop.
    #[error("the projection `{name}` parks events, and its read model cannot keep them; use another, or let it stop")]
    CannotPark {
        /// The projection.
        name: &'static str,
    },
    /// The view of a projection cannot be opened.
    #[error("the view `{name}` cannot be opened")]
    Model {
        /// The projection.
        name: &'static str,
        /// Why.
        source: ModelError,
    },
}

impl ProjectionSet {
    /// No projections yet; those to come follow `events`, and keep embedded views in `views`.
    #[must_use]
    pub fn new(events: Arc<dyn EventStore>, views: Arc<dyn KeyValueStore>, env: Arc<dyn Env>) -> Self {
        Self { events, views, env, options: ProjectionOptions::default(), registered: Vec::new() }
    }

    /// How they are to work.
    #[must_use]
    pub fn with_options(self, options: ProjectionOptions) -> Self {
        Self { options, ..self }
    }

    /// Adds a projection with an embedded view.
    pub fn register<P: Projection<Model = Embedded>>(&mut self, projection: P) {
        self.add(projection, |views| Box::pin(Embedded::open(views, P::NAME, P::VERSION)));
    }

    /// Adds a projection with a read model of its own.
    pub fn register_with<P: Projection>(&mut self, projection: P, model: P::Model) {
        self.add(projection, |_| Box::pin(std::future::ready(Ok(model))));
    }

    fn add<P: Projection>(
        &mut self,
        projection: P,
        open: impl FnOnce(Arc<dyn KeyValueStore>) -> BoxFuture<'static, Result<P::Model, ModelError>> + Send + 'static,
    ) {
        let open = |views| -> Opening {
            let opening = open(views);
            Box::pin(async move {
                let model = opening.await?;
                Ok(Arc::new(Bound { projection: Arc::new(projection), model }) as Arc<dyn Instance>)
            })
        };
        let (name, version, type_id) = (P::NAME, P::VERSION, TypeId::of::<P>());
        self.registered.push(Registered { name, version, type_id, open: Box::new(open) });
    }

    /// Opens all views, then starts a task for each projection. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started.
    pub async fn start(self) -> Result<Projections, StartError> {
        let Self { events, views, env, options, registered } = self;
        let (options, (stop, stopped)) = (Arc::new(options), watch::channel(false));
        let (mut entries, mut runners) = (Vec::<Arc<Entry>>::new(), Vec::new());
        for Registered { name, version, type_id, open } in registered {
            if !is_name(name) {
                return Err(StartError::Name { name });
            }
            if entries.iter().any(|entry| entry.name == name) {
                return Err(StartError::Twice { name });
            }
            let failed = |source| StartError::Model { name, source };
            let instance = open(Arc::clone(&views)).await.map_err(failed)?;
            let cursor = instance.cursor().await.map_err(failed)?;
            let readable = instance.is_live().await.map_err(failed)?;
            let (publish, published) = watch::channel(Published::new(cursor, readable));
            let (control, controlled) = mpsc::channel(CONTROL_QUEUE);
            let policy = instance.on_failure();
            if policy.keys_max.is_some() && !instance.can_park() {
                return Err(StartError::CannotPark { name });
            }
            let applier = Applier {
                name,
                options: Arc::new(policy.options(ProjectionOptions::clone(&options))),
                keys_max: policy.keys_max,
                env: Arc::clone(&env),
                stop: Stop { all: stopped.clone(), this: None },
                measured: Arc::new(ProjectionMetrics::new()),
                rebuilds: false,
            };
            runners.push(Runner {
                instance: Arc::clone(&instance),
                events: Arc::clone(&events),
                applier: applier.clone(),
                published: publish,
                control: controlled,
                rate: Rate::new(),
                parked: ParkedKeys::default(),
            });
            entries.push(Arc::new(Entry {
                name,
                version,
                type_id,
                instance,
                applier,
                published,
                control,
                rebuild: Mutex::default(),
            }));
        }
        let tasks = runners.into_iter().map(Runner::run).collect();
        let projections = Projections::new(Inner { events, views, options, entries, tasks: Mutex::new(tasks), stop });
        for control in projections.all() {
            control.take_up().await.map_err(|source| StartError::Model { name: control.name(), source })?;
        }
        Ok(projections)
    }
}

impl fmt::Debug for ProjectionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.registered.iter().map(|registered| registered.name)).finish()
    }
}
