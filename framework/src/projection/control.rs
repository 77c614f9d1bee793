//! One running projection, in the hands of whoever looks after it.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use annalist_core::{Cursor, EventStore, Position, Read, StoreError};
use annalist_metrics::{Health, Metrics};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    applier::{Applier, Stop},
    instance::{Instance, chain},
    key_value::KeyValueStore,
    model::{Kept, ModelError},
    options::{ProjectionOptions, RebuildOptions},
    parking::Parked,
    rebuild::{Rebuild, RebuildError},
    replay::{Origin, Replay},
    runner::Control,
    status::{Progress, ProjectionState, ProjectionStatus, Published},
    unparking::{ParkedError, ParkedRequest},
};

/// What the projections of a service share.
pub(super) struct Inner {
    pub(super) events: Arc<dyn EventStore>,
    pub(super) views: Arc<dyn KeyValueStore>,
    pub(super) options: Arc<ProjectionOptions>,
    pub(super) entries: Vec<Arc<Entry>>,
    /// Runners and rebuilds.
    pub(super) tasks: Mutex<JoinSet<()>>,
    pub(super) stop: watch::Sender<bool>,
}

impl Inner {
    pub(super) fn lock_tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Rebuilds that ended leave their result behind until it is taken.
        while tasks.try_join_next().is_some() {}
        tasks
    }
}

/// One projection.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) type_id: TypeId,
    pub(super) instance: Arc<dyn Instance>,
    pub(super) applier: Applier,
    pub(super) published: watch::Receiver<Published>,
    pub(super) control: mpsc::Sender<Control>,
    /// The last rebuild.
    pub(super) rebuild: Mutex<Option<Rebuilding>>,
}

/// A rebuild as others see it. It is in progress as long as its sender of progress is there.
pub(super) struct Rebuilding {
    progress: watch::Receiver<Progress>,
    paused: watch::Sender<bool>,
    cancel: watch::Sender<bool>,
}

impl Entry {
    fn with_rebuild<T>(&self, look: impl FnOnce(&Rebuilding) -> T) -> Option<T> {
        let rebuild = self.rebuild.lock().unwrap_or_else(PoisonError::into_inner);
        rebuild.as_ref().filter(|rebuild| rebuild.progress.has_changed().is_ok()).map(look)
    }
}

/// One running projection: how far it is, to rebuild it, to do something about what it parked. Cheap to clone.
#[derive(Clone)]
pub struct ProjectionControl {
    pub(super) inner: Arc<Inner>,
    pub(super) entry: Arc<Entry>,
}

impl ProjectionControl {
    /// The projection's declared name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.entry.name
    }

    /// How far it is.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read.
    pub async fn status(&self) -> Result<ProjectionStatus, StoreError> {
        let head = self.inner.events.head().await?;
        let published = self.entry.published.borrow().clone();
        let lag_time = self.lag_time(published.cursor, head).await?;
        let Entry { name, version, .. } = *self.entry;
        Ok(published.status(
            name,
            version,
            head,
            lag_time,
            self.entry.with_rebuild(|rebuild| *rebuild.progress.borrow()),
        ))
    }

    /// Whether its view goes on. Asks no disk.
    pub(crate) fn health(&self) -> Health {
        let (state, position) = {
            let published = self.entry.published.borrow();
            (published.state.clone(), published.cursor.position)
        };
        match state {
            ProjectionState::Live => Health::Healthy,
            ProjectionState::Building | ProjectionState::Replaying => {
                Health::degraded(format!("it is {state}, at event {position}"))
            }
            waiting @ ProjectionState::Waiting { .. } => Health::degraded(format!("it is {waiting}")),
            ended => Health::failed(ended.to_string()),
        }
    }

    /// Adds what was counted up to now.
    pub(crate) fn collect(&self, metrics: &mut Metrics) {
        self.entry.applier.measured.collect(self.name(), metrics);
    }

    /// The age of the first event behind the cursor.
    async fn lag_time(&self, cursor: Cursor, head: Cursor) -> Result<Duration, StoreError> {
        if cursor.position >= head.position || !cursor.fits(&head) {
            return Ok(Duration::ZERO);
        }
        let mut oldest = self.inner.events.read(Read::all(cursor.position).limit(1)).await?;
        let age = |micros: i64| u64::try_from(self.entry.applier.env.now().as_micros().saturating_sub(micros));
        let ages = oldest.next().await?.into_iter().map(|event| age(event.time.as_micros()).unwrap_or_default());
        Ok(Duration::from_micros(ages.max().unwrap_or_default()))
    }

    /// Rebuilds the view from the whole log, beside the live one, and then puts it in its place in one step. It begins at
    /// once; await it for its end, or drop it to cancel it.
    ///
    /// It goes on after a restart with what it had filled, if the program is the same; another
    /// [program](crate::Env::program) begins it again, so that the rows are all of one.
    pub fn rebuild(&self, options: RebuildOptions) -> Rebuild {
        if options.keep_previous && !self.entry.instance.can_keep() {
            return self.refused(RebuildError::CannotKeep { name: self.name().to_owned() });
        }
        self.begin(Origin::Fresh, options, false)
    }

    /// Puts the view back that was live before the last rebuild and was
    /// [kept](RebuildOptions::keep_previous), once it has caught up beside the live one: readers never see an older state
    /// than before. The one that it replaces is kept in its turn. Progress, pause and cancelling are as for a rebuild, but a
    /// shutdown cancels it.
    ///
    /// # Errors
    /// [`RebuildError::NoPrevious`] when there is none, and when awaited, what there is for a rebuild. What cannot be
    /// applied to it is dealt with as the projection does: see [`Projection::on_failure`](super::Projection::on_failure).
    pub async fn roll_back(&self) -> Result<Rebuild, RebuildError> {
        let previous = self.previous().await?;
        Ok(self.begin(Origin::Previous(previous), RebuildOptions::default().keep_previous(), false))
    }

    /// Drops the view that was kept to roll back to.
    ///
    /// # Errors
    /// [`RebuildError::NoPrevious`] when there is none; [`RebuildError::InProgress`] while a rebuild or rollback is.
    pub async fn release_previous(&self) -> Result<(), RebuildError> {
        let previous = self.previous().await?;
        if self.entry.with_rebuild(|_| ()).is_some() {
            return Err(RebuildError::InProgress { name: self.name().to_owned() });
        }
        previous.discard().await.map_err(|error| self.failed(&error))
    }

    async fn previous(&self) -> Result<Arc<dyn Instance>, RebuildError> {
        let kept = self.entry.instance.kept().await.map_err(|error| self.failed(&error))?;
        let previous = kept.into_iter().find(|(_, why)| *why == Kept::Previous).map(|(previous, _)| previous);
        previous.ok_or_else(|| RebuildError::NoPrevious { name: self.name().to_owned() })
    }

    fn failed(&self, error: &ModelError) -> RebuildError {
        RebuildError::Failed { name: self.name().to_owned(), position: None, error: chain(error) }
    }

    /// Pauses the rebuild in progress after the batch that it is at, also across restarts; `false` if there is none.
    #[must_use]
    pub fn pause_rebuild(&self) -> bool {
        self.entry.with_rebuild(|rebuild| rebuild.paused.send_replace(true)).is_some()
    }

    /// Lets a paused rebuild go on; `false` if there is none in progress.
    #[must_use]
    pub fn resume_rebuild(&self) -> bool {
        self.entry.with_rebuild(|rebuild| rebuild.paused.send_replace(false)).is_some()
    }

    /// Cancels the rebuild in progress, whoever began it: the live view stays as it is, nothing is left of the other; `false`
    /// if there is none.
    #[must_use]
    pub fn cancel_rebuild(&self) -> bool {
        self.entry.with_rebuild(|rebuild| rebuild.cancel.send_replace(true)).is_some()
    }

    pub(super) fn begin(&self, origin: Origin, options: RebuildOptions, paused: bool) -> Rebuild {
        let (progress, seen) = watch::channel(Progress::START);
        let (cancel, cancelled) = watch::channel(false);
        let (pause, paused) = watch::channel(paused);
        let (done, answer) = oneshot::channel();
        let Entry { instance, applier, control, rebuild, .. } = &*self.entry;
        let mut rebuild = rebuild.lock().unwrap_or_else(PoisonError::into_inner);
        if rebuild.as_ref().is_some_and(|rebuild| rebuild.progress.has_changed().is_ok()) {
            return self.refused(RebuildError::InProgress { name: self.name().to_owned() });
        }
        *rebuild = Some(Rebuilding { progress: seen.clone(), paused: pause, cancel: cancel.clone() });
        let stop = Stop { this: Some(cancelled), ..applier.stop.clone() };
        let applier = match origin {
            Origin::Previous(_) => Applier { stop, rebuilds: true, ..applier.clone() },
            Origin::Fresh | Origin::Begun(_) | Origin::Outdated(_) => {
                Applier { stop, rebuilds: true, ..applier.strict() }
            }
        };
        let (instance, events) = (Arc::clone(instance), Arc::clone(&self.inner.events));
        let replay = Replay { origin, instance, options, events, applier, control: control.clone(), progress, paused };
        self.inner.lock_tasks().spawn(async move {
            // The replay and its sender of progress are gone when the answer is there: then another may begin.
            let result = replay.run().await;
            // Nobody waits for the answer of a rebuild that was cancelled.
            drop(done.send(result));
        });
        Rebuild { name: self.name().to_owned(), progress: seen, done: answer, cancel: Some(cancel) }
    }

    fn refused(&self, error: RebuildError) -> Rebuild {
        Rebuild::refused(self.name(), error)
    }

    /// The parked events behind `after`, the last of the page before, at most `limit`: key by key, and by position within
    /// a key.
    ///
    /// # Errors
    /// [`ParkedError`] when the read model cannot be read, or the projections were shut down.
    pub async fn parked(&self, after: Option<&Parked>, limit: usize) -> Result<Vec<Parked>, ParkedError> {
        let after = after.map(|parked| (parked.key.clone(), parked.position));
        self.ask(|reply| ParkedRequest::List { after, limit, reply }).await
    }

    /// Applies the parked events of a key in order, as they stand in the log, and the key is parked no longer; tells how
    /// many there were. Each counts exactly once, also across crashes. Events of the key that are recorded meanwhile come
    /// behind them.
    ///
    /// # Errors
    /// [`ParkedError::Failed`] when one of them cannot be applied this time either: it and those behind it stay parked.
    /// [`ParkedError::NoneParked`] when there are none.
    pub async fn retry_parked(&self, key: impl Into<String>) -> Result<u64, ParkedError> {
        let key = key.into();
        self.ask(|reply| ParkedRequest::Retry { key, reply }).await
    }

    /// Gives up the parked events of a key up to and including the one at `through`, for good: the view will be without
    /// them until it is rebuilt. Each is said in the trace, at level `WARN`. Those behind stay parked until they are
    /// retried. Tells how many were given up.
    ///
    /// # Errors
    /// [`ParkedError::NoneParked`] when there are none.
    pub async fn discard_parked(&self, key: impl Into<String>, through: Position) -> Result<u64, ParkedError> {
        let key = key.into();
        self.ask(|reply| ParkedRequest::Discard { key, through, reply }).await
    }

    /// Has the runner do something about parked events.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ParkedError>>) -> ParkedRequest,
    ) -> Result<T, ParkedError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || ParkedError::Stopped { name: self.name() };
        self.entry.control.send(Control::Parked(request(reply))).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl fmt::Debug for ProjectionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProjectionControl").field(&self.name()).finish()
    }
}
