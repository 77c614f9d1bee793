//! One running projection, in the hands of whoever looks after it.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use annalist_core::{Cursor, EventStore, Position, Read, StoreError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    applier::{Applier, Stop},
    instance::Instance,
    key_value::KeyValueStore,
    options::ProjectionOptions,
    parking::Parked,
    rebuild::{Rebuild, RebuildError, Replay},
    runner::Control,
    status::{Progress, ProjectionStatus, Published},
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
    /// The last rebuild; it is in progress as long as its sender is there.
    pub(super) rebuild: Mutex<Option<watch::Receiver<Progress>>>,
}

impl Entry {
    fn rebuild_in_progress(&self) -> Option<Progress> {
        in_progress(self.rebuild.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    /// The work of a rebuild, unless there is one in progress.
    fn begin_rebuild(
        &self,
        events: Arc<dyn EventStore>,
        progress: watch::Sender<Progress>,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Replay, RebuildError> {
        let mut rebuild = self.rebuild.lock().unwrap_or_else(PoisonError::into_inner);
        if in_progress(rebuild.as_ref()).is_some() {
            return Err(RebuildError::InProgress { name: self.name.to_owned() });
        }
        *rebuild = Some(progress.subscribe());
        let stop = Stop { this: Some(cancelled), ..self.applier.stop.clone() };
        let applier = Applier { stop, ..self.applier.strict() };
        let (instance, control) = (Arc::clone(&self.instance), self.control.clone());
        Ok(Replay { instance, events, applier, control, progress })
    }
}

fn in_progress(rebuild: Option<&watch::Receiver<Progress>>) -> Option<Progress> {
    let progress = rebuild.filter(|progress| progress.has_changed().is_ok())?;
    Some(*progress.borrow())
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
        Ok(published.status(name, version, head, lag_time, self.entry.rebuild_in_progress()))
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
    pub fn rebuild(&self) -> Rebuild {
        let (progress, seen) = watch::channel(Progress::START);
        let (cancel, cancelled) = watch::channel(false);
        let (done, answer) = oneshot::channel();
        match self.entry.begin_rebuild(Arc::clone(&self.inner.events), progress, cancelled) {
            Ok(replay) => drop(self.inner.lock_tasks().spawn(async move {
                // The replay and its sender of progress are gone when the answer is there: then another may begin.
                let result = replay.run().await;
                // Nobody waits for the answer of a rebuild that was cancelled.
                drop(done.send(result));
            })),
            Err(refused) => drop(done.send(Err(refused))),
        }
        Rebuild { name: self.name().to_owned(), progress: seen, done: answer, _cancel: cancel }
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
