//! The projections of a service as they run: read, watched, rebuilt, shut down.

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use annalist_core::{Cursor, EventStore, StoreError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    applier::{Applier, Stop},
    embedded::Embedded,
    handle::{ViewError, ViewHandle, wait},
    instance::Instance,
    key_value::KeyValueStore,
    model::Projection,
    options::ProjectionOptions,
    rebuild::{Rebuild, RebuildError, Replay},
    runner::TakeOver,
    status::{Progress, ProjectionStatus, Published},
};

/// The running projections of a service. Clones share them; when the last is dropped without
/// [`Projections::shutdown`] their tasks are dropped too, and batches in progress rolled back.
#[derive(Clone)]
pub struct Projections {
    inner: Arc<Inner>,
}

/// What they share.
pub(super) struct Inner {
    pub(super) events: Arc<dyn EventStore>,
    pub(super) views: Arc<dyn KeyValueStore>,
    pub(super) options: Arc<ProjectionOptions>,
    pub(super) entries: Vec<Entry>,
    /// Runners and rebuilds.
    pub(super) tasks: Mutex<JoinSet<()>>,
    pub(super) stop: watch::Sender<bool>,
}

/// One projection.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) type_id: TypeId,
    pub(super) instance: Arc<dyn Instance>,
    pub(super) applier: Applier,
    pub(super) published: watch::Receiver<Published>,
    pub(super) control: mpsc::Sender<TakeOver>,
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
        let applier = Applier { stop, ..self.applier.clone() };
        let (instance, control) = (Arc::clone(&self.instance), self.control.clone());
        Ok(Replay { instance, events, applier, control, progress })
    }
}

fn in_progress(rebuild: Option<&watch::Receiver<Progress>>) -> Option<Progress> {
    let progress = rebuild.filter(|progress| progress.has_changed().is_ok())?;
    Some(*progress.borrow())
}

impl Projections {
    pub(super) fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    fn entry<P: Projection>(&self) -> Result<&Entry, ViewError> {
        let found = self.inner.entries.iter().find(|entry| entry.type_id == TypeId::of::<P>());
        found.ok_or_else(|| ViewError::Unknown { name: P::NAME.to_owned(), registered: self.names() })
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.inner.entries.iter().map(|entry| entry.name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// The view of a projection, to be read.
    ///
    /// # Errors
    /// [`ViewError::Unknown`] when the projection is not registered.
    pub fn view<P: Projection<Model = Embedded>>(&self) -> Result<ViewHandle, ViewError> {
        let Entry { name, version, published, .. } = self.entry::<P>()?;
        let (rows, published) = (Arc::clone(&self.inner.views), published.clone());
        let patience = self.inner.options.patience;
        Ok(ViewHandle { name, version: *version, rows, published, after: None, patience })
    }

    /// Waits until the view of a projection has seen a cursor: for views that are not read through a [`ViewHandle`].
    ///
    /// # Errors
    /// [`ViewError`] when the view does not get so far within `patience`.
    pub async fn reached<P: Projection>(&self, cursor: Cursor, patience: Duration) -> Result<(), ViewError> {
        let entry = self.entry::<P>()?;
        wait(entry.name, entry.published.clone(), Some(cursor), patience).await
    }

    /// Waits until every view has seen a cursor; `patience` is for each of them.
    ///
    /// # Errors
    /// [`ViewError`] of the first that does not get so far.
    pub async fn all_reached(&self, cursor: Cursor, patience: Duration) -> Result<(), ViewError> {
        for entry in &self.inner.entries {
            wait(entry.name, entry.published.clone(), Some(cursor), patience).await?;
        }
        Ok(())
    }

    /// How far each projection is.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot tell its head.
    pub async fn status(&self) -> Result<Vec<ProjectionStatus>, StoreError> {
        let head = self.inner.events.head().await?;
        let status = |entry: &Entry| {
            let published = entry.published.borrow().clone();
            published.status(entry.name, entry.version, head, entry.rebuild_in_progress())
        };
        Ok(self.inner.entries.iter().map(status).collect())
    }

    /// Rebuilds the view of a projection from the whole log, beside the live one, and then puts it in its place in one
    /// step. It begins at once; await it for its end, or drop it to cancel it.
    pub fn rebuild<P: Projection>(&self) -> Rebuild {
        self.rebuild_where(P::NAME, |entry| entry.type_id == TypeId::of::<P>())
    }

    /// [`Projections::rebuild`] by the projection's declared name.
    pub fn rebuild_by_name(&self, name: &str) -> Rebuild {
        self.rebuild_where(name, |entry| entry.name == name)
    }

    fn rebuild_where(&self, name: &str, wanted: impl Fn(&Entry) -> bool) -> Rebuild {
        let (progress, seen) = watch::channel(Progress::START);
        let (cancel, cancelled) = watch::channel(false);
        let (done, answer) = oneshot::channel();
        let unknown = || RebuildError::Unknown { name: name.to_owned(), registered: self.names() };
        let entry = self.inner.entries.iter().find(|entry| wanted(entry)).ok_or_else(unknown);
        match entry.and_then(|entry| entry.begin_rebuild(Arc::clone(&self.inner.events), progress, cancelled)) {
            Ok(replay) => drop(self.lock_tasks().spawn(async move {
                // The replay and its sender of progress are gone when the answer is there: then another may begin.
                let result = replay.run().await;
                // Nobody waits for the answer of a rebuild that was cancelled.
                drop(done.send(result));
            })),
            Err(refused) => drop(done.send(Err(refused))),
        }
        Rebuild { name: name.to_owned(), progress: seen, done: answer, _cancel: cancel }
    }

    fn lock_tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Rebuilds that ended leave their result behind until it is taken.
        while tasks.try_join_next().is_some() {}
        tasks
    }

    /// Stops all projections: each commits the batch that it is at; rebuilds are cancelled and leave no trace. Views can
    /// still be read until their store is closed.
    ///
    /// What is not done within [`ProjectionOptions::shutdown_grace`] is dropped, which rolls it back; `false` says so.
    pub async fn shutdown(&self) -> bool {
        self.inner.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.lock_tasks());
        let ended = async { while tasks.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.inner.options.shutdown_grace, ended).await.is_ok();
        if !in_time {
            tracing::warn!("a projection did not end in time: its batch is rolled back");
            tasks.shutdown().await;
        }
        in_time
    }
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.inner.entries.iter().map(|entry| entry.name)).finish()
    }
}
