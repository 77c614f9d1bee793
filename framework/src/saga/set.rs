//! The sagas of a service as they are wired and started.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use annalist_core::{Checkpoints, Cursor, EventStore, StoreError, locate};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tracing::Instrument;

use super::{
    awaited::Awaited,
    dispatch::Dispatch,
    halt::Trouble,
    intake::{Intake, Note},
    limits::{PAGE_MAX, PATIENCE},
    model::Saga,
    name::is_name,
    operate::Operate,
    options::{Begin, SagaOptions},
    rows::{INSTANCES, InstanceState, Rows},
    running::{Running, Sagas},
    status::{Progress, SagaState},
    step,
    streams::Streams,
    taker::{Taker, Timers},
    timers::TimerTask,
    woken::Woken,
};
use crate::{
    command::{CommandSet, Commands},
    env::Env,
    metrics::SagaMetrics,
    projection::{self, KeyValueStore, ProjectionSet, ProjectionState, Projections, ViewError},
    trace::Tracer,
};

/// Why sagas did not start. None of them runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A saga's name breaks the rule for names.
    #[error("`{name}` cannot be the name of a saga: a name has 1 to 59 bytes, without `-` and control characters")]
    Name {
        /// The name.
        name: &'static str,
    },
    /// Two sagas have the same name. Rename one.
    #[error("two sagas are called `{name}`; rename one of them")]
    Twice {
        /// The name.
        name: &'static str,
    },
    /// The view of what is open cannot be opened.
    #[error("what the sagas have open cannot be kept")]
    Rows(#[from] projection::StartError),
    /// The view of what is open cannot be read.
    #[error("what the saga `{name}` has open cannot be read")]
    View {
        /// The saga.
        name: &'static str,
        /// Why.
        source: ViewError,
    },
    /// What it has open was read from events that the log does not have any more.
    #[error(
        "what the saga `{name}` has open was read from events that this log does not have since it was restored from a backup; \
         delete the folder of the embedded views: they are replayed"
    )]
    ForeignRows {
        /// The saga.
        name: &'static str,
    },
    /// The store cannot be used.
    #[error("the saga `{name}` cannot be started: {why}")]
    Store {
        /// The saga.
        name: &'static str,
        /// What is in the way.
        why: String,
    },
    /// How far the saga is was noted for another log.
    #[error(
        "the saga `{name}` has followed another log than this one, up to {noted}, whose head is {head}: the log was copied \
         without its notes, or restored to a position before every earlier backup; restore it to the end of a backup"
    )]
    Foreign {
        /// The saga.
        name: &'static str,
        /// Where the saga was.
        noted: Cursor,
        /// The head of the log.
        head: Cursor,
    },
    /// Instances are under way that the program as it is now cannot go on with.
    #[error(
        "{count} instances of the saga `{name}` are under way that cannot go on (`{example}`, for one): {why}; mend that, or \
         let the program before finish them"
    )]
    Unfit {
        /// The saga.
        name: &'static str,
        /// How many there are.
        count: u64,
        /// The key of one.
        example: String,
        /// What is in the way of that one, and what to do.
        why: String,
    },
    /// Instances are under way that another version of the saga began, and `migrate` has no answer for them.
    #[error(
        "{count} instances of the saga `{name}` are under way (`{example}`, for one) that version {recorded} began, and \
         version {version} cannot take them over: write `migrate` for them, or let the program before finish them"
    )]
    Version {
        /// The saga.
        name: &'static str,
        /// The declared version.
        version: u32,
        /// How many there are.
        count: u64,
        /// The key of one.
        example: String,
        /// The version of that one.
        recorded: u32,
    },
}

/// What sagas stand on.
pub(crate) struct Ground {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) notes: Arc<dyn Checkpoints>,
    pub(crate) views: Arc<dyn KeyValueStore>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) tracer: Tracer,
    pub(crate) set: Arc<CommandSet>,
    pub(crate) commands: Arc<Commands>,
}

/// The sagas of a service before they start.
#[derive(Default)]
pub(crate) struct SagaSet {
    registered: Vec<Registered>,
}

struct Registered {
    name: &'static str,
    options: SagaOptions,
    rows: fn(&mut ProjectionSet),
    prepare: Prepare,
}

type Prepare = for<'a> fn(&'a Ground, &'a Projections, SagaOptions) -> BoxFuture<'a, Result<Launch, StartError>>;

/// Starts the tasks of a saga with which everything is in order.
type Launch = Box<dyn FnOnce(watch::Receiver<bool>, &mut JoinSet<()>) -> Running + Send>;

impl SagaSet {
    pub(crate) fn add<S: Saga>(&mut self, options: SagaOptions) {
        self.registered.push(Registered {
            name: S::NAME,
            options,
            rows: |set| set.register(Rows::<S>::new()),
            prepare: |ground, rows, options| Box::pin(prepare::<S>(ground, rows, options)),
        });
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.registered.iter().map(|registered| registered.name)
    }

    /// Checks everything, then starts the tasks of each saga. Must be called within a Tokio runtime.
    pub(crate) async fn start(self, ground: Ground) -> Result<Sagas, StartError> {
        for (at, name) in self.names().enumerate() {
            if !is_name(name) {
                return Err(StartError::Name { name });
            }
            if self.names().take(at).any(|other| other == name) {
                return Err(StartError::Twice { name });
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut set =
            ProjectionSet::new(Arc::clone(&ground.events), Arc::clone(&ground.views), Arc::clone(&ground.env));
        self.registered.iter().for_each(|registered| (registered.rows)(&mut set));
        let rows = if self.registered.is_empty() { None } else { Some(set.start().await?) };
        let grace = self.registered.iter().map(|registered| registered.options.shutdown_grace).max();
        let mut launches = Vec::new();
        if let Some(rows) = &rows {
            for Registered { options, prepare, .. } in self.registered {
                match prepare(&ground, rows, options).await {
                    Ok(launch) => launches.push(launch),
                    Err(error) => {
                        rows.shutdown().await;
                        return Err(error);
                    }
                }
            }
        }
        let mut tasks = JoinSet::new();
        let running = launches.into_iter().map(|launch| Arc::new(launch(stopped.clone(), &mut tasks))).collect();
        Ok(Sagas { running, rows, stop, tasks: Mutex::new(tasks), grace: grace.unwrap_or_default() })
    }
}

/// Finds out whether a saga can start, and where.
async fn prepare<S: Saga>(
    ground: &Ground,
    projections: &Projections,
    options: SagaOptions,
) -> Result<Launch, StartError> {
    let name = S::NAME;
    let unusable = |error: StoreError| StartError::Store { name, why: error.to_string() };
    let unreadable = |source| match source {
        ViewError::ForeignCursor { .. } | ViewError::Stopped { state: ProjectionState::Foreign { .. }, .. } => {
            StartError::ForeignRows { name }
        }
        source => StartError::View { name, source },
    };
    let head = ground.events.head().await.map_err(unusable)?;
    let noted = ground.notes.load(&Note::name(name)).await.map_err(unusable)?;
    let noted = noted.map(|bytes| serde_json::from_slice::<Note>(&bytes)).transpose();
    let noted = noted.map_err(|error| StartError::Store { name, why: format!("its note cannot be read: {error}") })?;
    let scanned = if let Some(Note { scanned: noted }) = noted {
        match locate(&*ground.events, noted).await {
            Err(StoreError::ForeignCursor { cursor: noted, head }) => {
                return Err(StartError::Foreign { name, noted, head });
            }
            located => located.map_err(unusable)?,
        }
    } else {
        let scanned = if options.begin == Begin::Now { head } else { head.at(annalist_core::Position::ZERO) };
        // Noted before anything else: after a crash, now is still then.
        (Note { scanned }).save(&*ground.notes, name).await.map_err(unusable)?;
        scanned
    };
    let rows = projections.view::<Rows<S>>().map_err(unreadable)?.within(PATIENCE);
    rows.after(head).ready().await.map_err(unreadable)?;
    let streams = Streams::<S>::new(Arc::clone(&ground.events), ground.tracer.clone());
    check_versions(&streams, &rows).await?;
    let (set, commands, notes) = (Arc::clone(&ground.set), Arc::clone(&ground.commands), Arc::clone(&ground.notes));
    let (env, events) = (Arc::clone(&ground.env), Arc::clone(&ground.events));
    Ok(Box::new(move |stop, tasks| {
        let taker = Arc::new(Taker {
            name,
            streams,
            env,
            options,
            stop,
            woken: Woken::default(),
            timers: Timers::default(),
            awaited: Awaited::default(),
            unblocked: Notify::new(),
            passed: AtomicU64::new(0),
            last_error: Mutex::default(),
            measured: SagaMetrics::default(),
        });
        let (progress, published) = watch::channel(Progress { state: SagaState::CatchingUp, scanned });
        let intake = Intake { taker: Arc::clone(&taker), notes, progress, scanned, unsaved_since: None };
        let dispatch = Arc::new(Dispatch { taker: Arc::clone(&taker), set, commands });
        let span = || tracing::info_span!("annalist.saga", saga = name);
        tasks.spawn(Arc::clone(&dispatch).recover(rows.clone()).instrument(span()));
        tasks.spawn(dispatch.run().instrument(span()));
        tasks.spawn(TimerTask { taker: Arc::clone(&taker), rows: rows.clone() }.run().instrument(span()));
        tasks.spawn(intake.run().instrument(span()));
        let operate: Arc<dyn Operate> = taker;
        Running { name, version: S::VERSION, events, operate, rows, progress: published }
    }))
}

/// Whether the saga can go on with every instance that is under way.
async fn check_versions<S: Saga>(streams: &Streams<S>, rows: &projection::ViewHandle) -> Result<(), StartError> {
    let (name, version) = (S::NAME, S::VERSION);
    let (mut after, mut stuck, mut unfit) = (String::new(), None::<(u64, String, u32)>, None::<(u64, String, String)>);
    loop {
        let page = rows.scan(&INSTANCES).range(after.clone()..).limit(PAGE_MAX).await;
        let page = page.map_err(|source| StartError::View { name, source })?;
        let count = page.len();
        for (key, row) in page {
            let asked = row.saga_version != version || S::CHECK.is_some();
            let fits =
                if row.state == InstanceState::Running && asked { fits(streams, &key).await? } else { Fits::Well };
            match fits {
                Fits::Well => {}
                Fits::NoAnswer => {
                    let (count, example, recorded) = stuck.unwrap_or_else(|| (0, key.clone(), row.saga_version));
                    stuck = Some((count + 1, example, recorded));
                }
                Fits::Not(why) => {
                    let (count, example, why) = unfit.unwrap_or_else(|| (0, key.clone(), why));
                    unfit = Some((count + 1, example, why));
                }
            }
            // Behind this key, before every other.
            after = key + "\0";
        }
        if count < PAGE_MAX {
            break;
        }
    }
    match (stuck, unfit) {
        (Some((count, example, recorded)), _) => Err(StartError::Version { name, version, count, example, recorded }),
        (None, Some((count, example, why))) => Err(StartError::Unfit { name, count, example, why }),
        (None, None) => Ok(()),
    }
}

/// Whether the program can go on with an instance.
enum Fits {
    Well,
    /// Its state is of another version, and `migrate` has no answer; a panic is none.
    NoAnswer,
    /// Why not, and what to do.
    Not(String),
}

async fn fits<S: Saga>(streams: &Streams<S>, key: &str) -> Result<Fits, StartError> {
    let loaded = async { streams.load(&Streams::<S>::of(key)?).await };
    match loaded.await {
        Ok(Some(instance)) => {
            let same = instance.entry.saga_version == S::VERSION;
            let judged = catch_unwind(AssertUnwindSafe(|| {
                let state = step::state::<S>(&instance.entry);
                state.map(|state| S::CHECK.map_or(Ok(()), |check| check(&state)))
            }));
            Ok(match judged {
                Ok(Ok(Ok(()))) => Fits::Well,
                Ok(Ok(Err(why))) => Fits::Not(why),
                Ok(Err(why)) if same => Fits::Not(why),
                Ok(Err(_)) | Err(_) => Fits::NoAnswer,
            })
        }
        Ok(None) => Ok(Fits::Well),
        Err(Trouble::Passing(why)) => Err(StartError::Store { name: S::NAME, why }),
        Err(Trouble::Halt(halt)) => Err(StartError::Store { name: S::NAME, why: format!("{halt:?}") }),
    }
}

impl fmt::Debug for SagaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
