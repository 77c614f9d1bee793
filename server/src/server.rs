//! A server as it starts, runs and ends.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use annalist_core::StoreError;
use annalist_proto::v1::FILE_DESCRIPTORS;
use annalist_store::{OpenError, Store};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tonic::service::RoutesBuilder;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    access, connections, deadline, grpc, health, http, keys::Keys, options::ServerOptions, stopping::Stopping,
};

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; is another server running? choose another port with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file of keys cannot be used.
    #[error("the file of keys {} cannot be used: {why}; `annalist-server new-key` makes lines for it", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It would listen beyond loopback, and everybody could write.
    #[error(
        "{address} can be reached from other machines, and there are no keys: everybody could read and write; give it a file of \
         keys with --keys, or say --without-keys if the network keeps others out"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// The signals that end a process cannot be listened to.
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    /// The store could not be closed.
    #[error("the store was not closed in order: {0}")]
    Close(StoreError),
}

/// A store as a server.
#[derive(Debug)]
#[non_exhaustive]
pub struct Server;

impl Server {
    /// Opens the store and listens. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`ServerError`]: nothing runs.
    pub async fn start(options: ServerOptions) -> Result<Running, ServerError> {
        let ServerOptions { listen, data, keys, without_keys, store } = options;
        let keys = keys.map(|path| match Keys::load(&path) {
            Ok(keys) => Ok(Arc::new(keys)),
            Err(why) => Err(ServerError::Keys { path, why }),
        });
        let keys = keys.transpose()?;
        if keys.is_none() && !without_keys && !listen.ip().is_loopback() {
            return Err(ServerError::Exposed { address: listen });
        }
        let failed = |error| ServerError::Listen { address: listen, error };
        // First: whoever starts it twice is to learn that from the address, not from the lock of the store.
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let opening = tokio::task::spawn_blocking(move || Store::open_with(data, store));
        let store = opening.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let (stop, stopping) = Stopping::new();
        let (reporter, mut routes) = routes(&store, &stopping);
        if let Some(keys) = keys {
            routes = routes.layer(from_fn_with_state(keys, access::guard));
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(health::report(store.clone(), reporter.clone()));
        let mut connections = JoinSet::new();
        connections.spawn(connections::serve(listener, routes, stopping));
        tracing::info!(%address, "serving");
        Ok(Running { address, store, stop, reporter, tasks, connections })
    }
}

fn routes(store: &Store, stopping: &Stopping) -> (HealthReporter, Router) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = RoutesBuilder::from(http::routes(store, stopping));
    routes.add_service(health);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    match reflection {
        Ok(reflection) => _ = routes.add_service(reflection),
        Err(error) => tracing::error!(%error, "the protocol cannot be asked for"),
    }
    grpc::add(&mut routes, store, stopping);
    (reporter, routes.routes().into_axum_router().layer(from_fn(deadline::within)))
}

/// A running server. Dropping it ends it where it is; [`Running::shutdown`] ends it in order.
pub struct Running {
    address: SocketAddr,
    store: Store,
    stop: watch::Sender<bool>,
    reporter: HealthReporter,
    tasks: JoinSet<()>,
    connections: JoinSet<()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it in order: takes no more connections, ends subscriptions, finishes the requests in flight, closes the store. Takes
    /// no longer than ten seconds and what the store needs to be closed.
    ///
    /// # Errors
    /// [`ServerError::Close`] when the store could not be closed.
    pub async fn shutdown(mut self) -> Result<(), ServerError> {
        self.tasks.shutdown().await;
        health::say(&self.reporter, ServingStatus::NotServing).await;
        self.stop.send_replace(true);
        while self.connections.join_next().await.is_some() {}
        self.store.close().await.map_err(ServerError::Close)
    }
}
