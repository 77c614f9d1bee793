//! The projections of a service as they are wired and started.

use std::{
    any::TypeId,
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
};

use annalist_core::{Cursor, EventStore};
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{mpsc, watch};

use super::{
    applier::{Applier, Stop},
    bound::Bound,
    control::{Entry, Inner},
    embedded::Embedded,
    instance::{Instance, chain, located},
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
                Ok(Arc::new(Bound::new(Arc::new(projection), model)) as Arc<dyn Instance>)
            })
        };
        let (name, version, type_id) = (P::NAME, P::VERSION, TypeId::of::<P>());
        self.registered.push(Registered { name, version, type_id, open: Box::new(open) });
    }

    /// Opens all views, then starts a task for each projection. Must be called within a Tokio runtime.
    ///
    /// A view whose store is away does not keep the others waiting: its projection begins when the store is there, and
    /// says so in its [state](super::ProjectionState::Waiting) until then.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started.
    pub async fn start(self) -> Result<Projections, StartError> {
        let Self { events, views, env, options, registered } = self;
        check_names(&registered)?;
        let (options, (stop, stopped)) = (Arc::new(options), watch::channel(false));
        let (mut entries, mut runners) = (Vec::new(), Vec::new());
        let opening = registered.into_iter().map(|registered| registered.open(&views, &*env, &*events));
        for opened in join_all(opening).await {
            let Opened { name, version, type_id, instance, published } = opened?;
            let (publish, published) = watch::channel(published);
            let (control, controlled) = mpsc::channel(CONTROL_QUEUE);
            let policy = instance.on_failure();
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
            let name = control.name();
            if let Err(source) = control.start().await {
                projections.shutdown().await;
                return Err(StartError::Model { name, source });
            }
        }
        Ok(projections)
    }
}

fn check_names(registered: &[Registered]) -> Result<(), StartError> {
    let mut names = HashSet::new();
    for Registered { name, .. } in registered {
        if !is_name(name) {
            return Err(StartError::Name { name });
        }
        if !names.insert(*name) {
            return Err(StartError::Twice { name });
        }
    }
    Ok(())
}

/// A projection whose view was opened, as far as its store is there.
struct Opened {
    name: &'static str,
    version: u32,
    type_id: TypeId,
    instance: Arc<dyn Instance>,
    published: Published,
}

impl Registered {
    async fn open(
        self,
        views: &Arc<dyn KeyValueStore>,
        env: &dyn Env,
        log: &dyn EventStore,
    ) -> Result<Opened, StartError> {
        let Self { name, version, type_id, open } = self;
        let failed = |source| StartError::Model { name, source };
        let instance = open(Arc::clone(views)).await.map_err(failed)?;
        if instance.on_failure().keys_max.is_some() && !instance.can_park() {
            return Err(StartError::CannotPark { name });
        }
        let seen = async {
            let (noted, readable) = (instance.cursor().await?, instance.is_live().await?);
            // Who asks at once whether a cursor was reached must not be told that the view is of another log, if that log is only one
            // that was restored since. If it is of another, or cannot be told, the runner says so.
            let cursor = located(log, noted, instance.farthest().await?).await.unwrap_or(noted);
            Ok((cursor, readable))
        };
        let published = match seen.await {
            Ok((cursor, readable)) => Published::new(cursor, readable),
            Err(error @ ModelError::Unavailable(_)) => {
                let mut published = Published::new(Cursor::START, false);
                published.wait(env.now(), &chain(&error));
                published
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Opened { name, version, type_id, instance, published })
    }
}

impl fmt::Debug for ProjectionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.registered.iter().map(|registered| registered.name)).finish()
    }
}
