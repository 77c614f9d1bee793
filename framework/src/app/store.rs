//! The stores that an app stands on.

use std::{fmt, sync::Arc};

use annalist_core::{Checkpoints, EventStore, Snapshots, StoreError};
use annalist_metrics::{Health, Metrics};
use futures_util::future::BoxFuture;

use crate::{projection::KeyValueStore, trace::Tracer};

/// What a store says of itself.
#[derive(Clone)]
pub(super) struct Observed {
    pub(super) metrics: Arc<dyn Fn() -> BoxFuture<'static, Metrics> + Send + Sync>,
    pub(super) health: Arc<dyn Fn() -> Health + Send + Sync>,
}

type Traced = Arc<dyn Fn(Tracer) + Send + Sync>;
type Close = Arc<dyn Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// Everything that an app keeps: events, snapshots, the notes of consumers, and the rows of embedded views. Clones share
/// it.
#[derive(Clone)]
pub struct Store {
    pub(super) events: Arc<dyn EventStore>,
    pub(super) snapshots: Arc<dyn Snapshots>,
    pub(super) checkpoints: Arc<dyn Checkpoints>,
    pub(super) views: Arc<dyn KeyValueStore>,
    close: Close,
    observed: Option<Observed>,
    traced: Option<Traced>,
}

impl Store {
    /// The store in a folder, made there if need be; views are kept in the folder `views` within.
    ///
    /// Blocks while it opens, which after a crash is a fraction of a second: do it when the program starts.
    ///
    /// # Errors
    /// [`OpenError`](crate::OpenError) says what is in the way.
    #[cfg(feature = "embedded")]
    pub fn embedded(dir: impl AsRef<std::path::Path>) -> Result<Self, crate::OpenError> {
        Self::embedded_with(dir, crate::StoreOptions::default())
    }

    /// [`Store::embedded`] with other options.
    ///
    /// # Errors
    /// As [`Store::embedded`].
    #[cfg(feature = "embedded")]
    pub fn embedded_with(
        dir: impl AsRef<std::path::Path>,
        options: crate::StoreOptions,
    ) -> Result<Self, crate::OpenError> {
        let dir = dir.as_ref();
        let store = annalist_store::Store::open_with(dir, options)?;
        let views = annalist_store::KeyValue::open(dir.join("views"))?;
        Ok(Self::opened(store, views))
    }

    /// A store and views that the program has opened itself, so that it can look after them as well: keep a clone of the store
    /// for `verify` and `backup`. The app closes both.
    #[cfg(feature = "embedded")]
    #[must_use]
    pub fn opened(store: annalist_store::Store, views: annalist_store::KeyValue) -> Self {
        let ports = Self::new(store.clone(), Arc::new(views.clone()));
        let (measured, asked) = (store.clone(), store.clone());
        let metrics = move || -> BoxFuture<'static, Metrics> {
            let store = measured.clone();
            Box::pin(async move { store.metrics().await })
        };
        let ports = ports.observed_by(metrics, move || asked.health());
        ports.on_close(move || {
            let (store, views) = (store.clone(), views.clone());
            Box::pin(async move {
                // Views first: they only remember what the log says.
                let closed = tokio::task::spawn_blocking(move || views.close()).await;
                store.close().await.and(closed.unwrap_or(Err(StoreError::Closed)))
            })
        })
    }

    /// A store in memory, for tests and trials.
    #[cfg(feature = "memory")]
    #[must_use]
    pub fn memory() -> Self {
        let store = annalist_memory::MemoryStore::new();
        let ports = Self::new(store.clone(), Arc::new(crate::projection::MemoryKeyValue::new()));
        ports.on_close(move || {
            store.close();
            Box::pin(std::future::ready(Ok(())))
        })
    }

    /// The store that a server keeps, at an address such as `http://127.0.0.1:2665`. Must be called within a Tokio runtime; it
    /// connects when it is first used.
    ///
    /// Embedded views are kept in memory and filled by a replay at each start; to keep them in a folder of this machine, use
    /// [`Store::new`] with a `KeyValue` of `annalist-store`, or keep read models in SQL.
    ///
    /// # Errors
    /// [`AddressError`](crate::AddressError) when the address cannot be one.
    #[cfg(feature = "remote")]
    pub fn remote(address: &str) -> Result<Self, crate::AddressError> {
        Self::remote_with(address, crate::RemoteOptions::default())
    }

    /// [`Store::remote`] with other options.
    ///
    /// # Errors
    /// As [`Store::remote`].
    #[cfg(feature = "remote")]
    pub fn remote_with(address: &str, options: crate::RemoteOptions) -> Result<Self, crate::AddressError> {
        let store = annalist_client::RemoteStore::connect_with(address, options)?;
        let ports = Self::new(store.clone(), Arc::new(crate::projection::MemoryKeyValue::new()));
        let traced = store.clone();
        let traced: Traced = Arc::new(move |tracer| traced.trace_with(move || tracer.current()));
        let ports = Self { traced: Some(traced), ..ports };
        Ok(ports.on_close(move || {
            store.close();
            Box::pin(std::future::ready(Ok(())))
        }))
    }

    /// A store made of any implementation of the ports, with embedded views in `views`. An app closes it only as
    /// [`Store::on_close`] says.
    #[must_use]
    pub fn new(store: impl EventStore + Snapshots + Checkpoints + Clone, views: Arc<dyn KeyValueStore>) -> Self {
        Self {
            events: Arc::new(store.clone()),
            snapshots: Arc::new(store.clone()),
            checkpoints: Arc::new(store),
            views,
            close: Arc::new(|| Box::pin(std::future::ready(Ok(())))),
            observed: None,
            traced: None,
        }
    }

    /// The same store, closed by this.
    #[must_use]
    pub fn on_close(
        self,
        close: impl Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync + 'static,
    ) -> Self {
        Self { close: Arc::new(close), ..self }
    }

    /// The same store, whose metrics and health are what these say; they become part of the app's. The health must be there
    /// at once, whatever the disk does.
    #[must_use]
    pub fn observed_by(
        self,
        metrics: impl Fn() -> BoxFuture<'static, Metrics> + Send + Sync + 'static,
        health: impl Fn() -> Health + Send + Sync + 'static,
    ) -> Self {
        Self { observed: Some(Observed { metrics: Arc::new(metrics), health: Arc::new(health) }), ..self }
    }

    /// What the store measures; nothing if it does not say.
    pub(super) async fn metrics(&self) -> Metrics {
        match &self.observed {
            Some(observed) => (observed.metrics)().await,
            None => Metrics::default(),
        }
    }

    /// Whether the store takes appends; healthy if it does not say.
    pub(super) fn health(&self) -> Health {
        self.observed.as_ref().map_or_else(Health::default, |observed| (observed.health)())
    }

    /// Has the store told which trace what it is asked for belongs to, if it is elsewhere.
    pub(super) fn trace_with(&self, tracer: &Tracer) {
        if let Some(traced) = self.traced.as_ref().filter(|_| tracer.is_there()) {
            traced(tracer.clone());
        }
    }

    /// The log: to read it, or to append what no aggregate decides, such as an import of events.
    #[must_use]
    pub fn events(&self) -> &Arc<dyn EventStore> {
        &self.events
    }

    /// Closes it for all its handles; an app does that when it shuts down.
    ///
    /// # Errors
    /// [`StoreError`] when something could not be finished.
    pub async fn close(&self) -> Result<(), StoreError> {
        (self.close)().await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
