//! The projections of a service as they run: read, watched, rebuilt, shut down.

use std::{any::TypeId, fmt, sync::Arc, time::Duration};

use annalist_core::{Cursor, StoreError};

use super::{
    control::{Entry, Inner, ProjectionControl},
    embedded::Embedded,
    handle::{ViewError, ViewHandle, wait},
    model::Projection,
    options::RebuildOptions,
    rebuild::Rebuild,
    status::{ProjectionStatus, UnknownProjection},
};

/// The running projections of a service. Clones share them; when the last is dropped without
/// [`Projections::shutdown`] their tasks are dropped too, and batches in progress rolled back.
#[derive(Clone)]
pub struct Projections {
    inner: Arc<Inner>,
}

impl Projections {
    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// A projection, to be looked after: its status, a rebuild, what it parked.
    ///
    /// # Errors
    /// [`UnknownProjection`] when it is not registered.
    pub fn of<P: Projection>(&self) -> Result<ProjectionControl, UnknownProjection> {
        self.find(P::NAME, |entry| entry.type_id == TypeId::of::<P>())
    }

    /// [`Projections::of`] by the projection's declared name, as people type it.
    ///
    /// # Errors
    /// [`UnknownProjection`], with the names that there are.
    pub fn named(&self, name: &str) -> Result<ProjectionControl, UnknownProjection> {
        self.find(name, |entry| entry.name == name)
    }

    /// All projections, in the order in which they were registered.
    pub fn all(&self) -> impl Iterator<Item = ProjectionControl> {
        self.inner.entries.iter().map(|entry| self.control(entry))
    }

    fn find(&self, name: &str, wanted: impl Fn(&Entry) -> bool) -> Result<ProjectionControl, UnknownProjection> {
        let found = self.inner.entries.iter().find(|entry| wanted(entry));
        found.map(|entry| self.control(entry)).ok_or_else(|| {
            let names: Vec<_> = self.inner.entries.iter().map(|entry| entry.name).collect();
            let registered = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            UnknownProjection { name: name.to_owned(), registered }
        })
    }

    fn control(&self, entry: &Arc<Entry>) -> ProjectionControl {
        ProjectionControl { inner: Arc::clone(&self.inner), entry: Arc::clone(entry) }
    }

    /// The view of a projection, to be read.
    ///
    /// # Errors
    /// [`ViewError::Unknown`] when the projection is not registered.
    pub fn view<P: Projection<Model = Embedded>>(&self) -> Result<ViewHandle, ViewError> {
        let entry = self.of::<P>()?.entry;
        let (rows, published) = (Arc::clone(&self.inner.views), entry.published.clone());
        let patience = self.inner.options.patience;
        Ok(ViewHandle { name: entry.name, version: entry.version, rows, published, after: None, patience })
    }

    /// Waits until the view of a projection has seen a cursor: for views that are not read through a [`ViewHandle`].
    ///
    /// # Errors
    /// [`ViewError`] when the view does not get so far within `patience`.
    pub async fn reached<P: Projection>(&self, cursor: Cursor, patience: Duration) -> Result<(), ViewError> {
        let entry = self.of::<P>()?.entry;
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
        let mut statuses = Vec::with_capacity(self.inner.entries.len());
        for control in self.all() {
            statuses.push(control.status().await?);
        }
        Ok(statuses)
    }

    /// Rebuilds the view of a projection from the whole log, beside the live one, and then puts it in its place in one
    /// step. It begins at once; await it for its end, or drop it to cancel it.
    pub fn rebuild<P: Projection>(&self) -> Rebuild {
        Self::rebuild_found(P::NAME, self.of::<P>())
    }

    /// [`Projections::rebuild`] by the projection's declared name.
    pub fn rebuild_by_name(&self, name: &str) -> Rebuild {
        Self::rebuild_found(name, self.named(name))
    }

    fn rebuild_found(name: &str, found: Result<ProjectionControl, UnknownProjection>) -> Rebuild {
        match found {
            Ok(control) => control.rebuild(RebuildOptions::default()),
            Err(unknown) => Rebuild::refused(name, unknown.into()),
        }
    }

    /// Stops all projections: each commits the batch that it is at; rebuilds are interrupted and go on at the next start.
    /// Views can still be read until their store is closed.
    ///
    /// What is not done within [`ProjectionOptions::shutdown_grace`](super::ProjectionOptions::shutdown_grace) is dropped, which rolls it back; `false` says so.
    pub async fn shutdown(&self) -> bool {
        self.inner.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.inner.lock_tasks());
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
