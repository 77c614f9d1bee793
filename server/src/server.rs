//! A server as it starts, runs and ends.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use annalist_core::StoreError;
use annalist_proto::v1::FILE_DESCRIPTORS;
use annalist_store::{OpenError, Store};
use annalist_telemetry::TelemetryError;
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinSet,
};
use tonic::service::RoutesBuilder;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    access::{self, Access},
    answers::AnswersMax,
    audit::Audit,
    clock,
    configuration::ConfigurationError,
    connections, deadline,
    group::Groups,
    grpc, health, http,
    io_threads::IoThreads,
    keys::KeyFile,
    memory::{self, Memory},
    options::ServerOptions,
    refresh::{self, Secrets},
    requests,
    stopping::Stopping,
    tls::{Tls, TlsError},
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
    /// What it is told cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A file of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log cannot be written.
    #[error("the audit log {} cannot be written: {error}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It would listen beyond loopback, and everybody could write.
    #[error(
        "{address} can be reached from other machines, and there are no keys: everybody could read and write; give it a file of \
         keys with --keys, or the authority of its clients' certificates with --tls-client-ca, or say --without-keys if the \
         network keeps others out"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// Traces cannot be sent as it is told.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The threads that serve connections cannot be started.
    #[error("the threads that serve connections cannot be started: {0}")]
    Threads(std::io::Error),
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
    /// Whether a server would start with these options, apart from its store and its port: files of keys and certificates are read.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn check(options: &ServerOptions) -> Result<(), ServerError> {
        options.telemetry().check()?;
        Self::secrets(options).map(drop)
    }

    fn secrets(options: &ServerOptions) -> Result<(Secrets, Access), ServerError> {
        let keys = options.keys.as_ref().map(|path| match KeyFile::load(path) {
            Ok(keys) => Ok(Arc::new(keys)),
            Err(why) => Err(ServerError::Keys { path: path.clone(), why }),
        });
        let keys = keys.transpose()?;
        let tls = options.tls.clone().map(|options| Tls::load(options, clock::now()).map(Arc::new)).transpose()?;
        let audit = Audit::to(options.audit.as_deref()).map(Arc::new).map_err(|error| {
            let path = options.audit.clone().unwrap_or_default();
            ServerError::Audit { path, error }
        })?;
        let certificate = tls.as_ref().is_some_and(|tls| tls.asks_clients());
        if let (Some(keys), Some(path), false) = (&keys, &options.keys, certificate)
            && keys.names_certificates()
        {
            let why =
                "it names certificates, and clients are not asked for theirs; say who issues them with --tls-client-ca";
            return Err(ServerError::Keys { path: path.clone(), why: why.to_owned() });
        }
        let access = Access { keys: keys.clone(), tls: tls.clone(), audit: Arc::clone(&audit) };
        if !access.asks() && !options.without_keys && !options.listen.ip().is_loopback() {
            return Err(ServerError::Exposed { address: options.listen });
        }
        Ok((Secrets { tls, keys, audit }, access))
    }

    /// Opens the store and listens. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`ServerError`]: nothing runs.
    pub async fn start(options: ServerOptions) -> Result<Running, ServerError> {
        let (secrets, access) = Self::secrets(&options)?;
        let (tls, keys) = (secrets.tls.clone(), secrets.keys.clone());
        let ServerOptions { listen, data, store, backups, request_memory_bytes, answers_max, .. } = options;
        if tls.is_none() && keys.is_some() && !listen.ip().is_loopback() {
            tracing::warn!(
                "keys and events travel in the clear; give it --tls-cert and --tls-key, or a proxy that has them"
            );
        }
        let failed = |error| ServerError::Listen { address: listen, error };
        // First: whoever starts it twice is to learn that from the address, not from the lock of the store.
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let threads = Arc::new(IoThreads::start().map_err(ServerError::Threads)?);
        let opening = tokio::task::spawn_blocking(move || Store::open_with(data, store));
        let store = opening.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let (stop, stopping) = Stopping::new();
        let groups = Arc::new(Groups::new(&store, &stopping));
        let answers = AnswersMax::new(answers_max);
        let (reporter, mut routes) = routes(&store, backups, &groups, &answers, &stopping);
        let memory = Arc::new(Memory::new(request_memory_bytes));
        routes = routes.layer(from_fn_with_state(memory, memory::within));
        routes = routes.layer(from_fn_with_state(Arc::new(access), access::guard));
        routes = routes.layer(from_fn(requests::within));
        let (reload, scheme) = (Arc::new(Notify::new()), if tls.is_some() { "https" } else { "http" });
        // Before anybody can ask.
        health::tell(&store, &reporter).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(health::report(store.clone(), reporter.clone()));
        tasks.spawn(refresh::run(secrets, Arc::clone(&reload)));
        let mut connections = JoinSet::new();
        connections.spawn(connections::serve(listener, tls, routes, Arc::clone(&threads), stopping));
        tracing::info!(%address, "serving");
        Ok(Running { address, scheme, reload, store, groups, stop, reporter, tasks, connections, threads })
    }
}

fn routes(
    store: &Store,
    backups: Option<PathBuf>,
    groups: &Arc<Groups>,
    answers: &AnswersMax,
    stopping: &Stopping,
) -> (HealthReporter, Router) {
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = RoutesBuilder::from(http::routes(store, groups, answers, stopping));
    routes.add_service(health);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    match reflection {
        Ok(reflection) => _ = routes.add_service(reflection),
        Err(error) => tracing::error!(%error, "the protocol cannot be asked for"),
    }
    grpc::add(&mut routes, store, backups, groups, answers, stopping);
    (reporter, routes.routes().into_axum_router().layer(from_fn(deadline::within)))
}

/// A running server. Dropping it ends it where it is; [`Running::shutdown`] ends it in order.
pub struct Running {
    address: SocketAddr,
    scheme: &'static str,
    reload: Arc<Notify>,
    store: Store,
    groups: Arc<Groups>,
    stop: watch::Sender<bool>,
    reporter: HealthReporter,
    tasks: JoinSet<()>,
    connections: JoinSet<()>,
    /// Groups run there too: they have to be there until those have ended.
    threads: Arc<IoThreads>,
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

    /// The same as an address that clients take: `http://…`, or `https://…` with TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Whoever notifies this has keys and certificates read again at once, rather than within ten seconds.
    pub(crate) fn reload(&self) -> Arc<Notify> {
        Arc::clone(&self.reload)
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
        self.groups.ended().await;
        self.store.close().await.map_err(ServerError::Close)?;
        // Nothing reads any more, so that they end at once.
        if let Some(threads) = Arc::into_inner(self.threads) {
            threads.end().await;
        }
        Ok(())
    }
}
