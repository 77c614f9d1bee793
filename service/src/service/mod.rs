//! The whole edge of a service, put together.

mod metrics;
mod options;

mod running;

use std::{
    fmt,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use annalist::{App, AppBuilder, Env, StartError, StoreError, SystemEnv};
use axum::Router;
use futures_util::future::BoxFuture;
use prometheus_client::registry::Registry;
use tokio::{
    net::TcpListener,
    select,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};

pub use options::ShutdownOptions;
use running::{Consumers, Server};
pub use running::{Running, Stop};

use crate::{
    architecture::{PROBES, ServiceDescription},
    health::{Probes, Pulse},
    inbound::{Gate, InboundOptions, Operation, operations},
    limits::VIEW_LAG_MAX,
    outbound::Clients,
    problem::Problem,
    request::{RequestLayer, circumstances},
    telemetry::{Telemetry, current},
    version::{ApiVersion, DeprecatedCalls, versioned},
};

/// Makes the routes of a running app.
type Routes = Box<dyn FnOnce(App) -> Router + Send>;
/// A consumer of messages, to be started with the app.
type Consumer = (String, Box<dyn FnOnce(App, Stop) -> BoxFuture<'static, ()> + Send>);
/// Looks an operation up.
type Find = Arc<dyn Fn(App, String) -> BoxFuture<'static, Result<Option<Operation>, Problem>> + Send + Sync>;

/// A service: an app behind HTTP, with everything that its edge needs.
///
/// Each request has a correlation id, a place in a trace and a deadline, which its log lines, commands and outgoing calls
/// take over; what comes in is bounded in number, rate, size and time; what goes wrong is answered as a problem (RFC 9457);
/// `/health/*` answers probes, `/metrics` Prometheus; SIGTERM ends it in order.
///
/// ```no_run
/// use annalist::{App, Store};
/// use annalist_service::Service;
/// use axum::{Router, routing::get};
///
/// fn routes(app: App) -> Router {
///     Router::new().route("/hello", get(async || "hello")).with_state(app)
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let app = App::open(Store::embedded("data/payments")?);
/// Service::new("payments", app).routes(routes).listen(([0, 0, 0, 0], 8080)).run().await?;
/// # Ok(()) }
/// ```
#[must_use = "a service does nothing until it is run"]
pub struct Service {
    name: String,
    app: AppBuilder,
    env: Arc<dyn Env>,
    routes: Vec<Routes>,
    versions: Vec<(ApiVersion, Routes)>,
    consumers: Vec<Consumer>,
    find: Option<Find>,
    clients: Clients,
    metrics: Registry,
    inbound: InboundOptions,
    ending: ShutdownOptions,
    lag_max: Duration,
    listen: SocketAddr,
    telemetry: Option<Telemetry>,
}

/// Why a service does not run, or did not end as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The app cannot be started.
    #[error("the app cannot be started")]
    Start(#[from] StartError),
    /// Its address cannot be listened at. Choose another, or end who listens there.
    #[error("cannot listen at {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals")]
    Signals(#[source] std::io::Error),
    /// The store was not closed as it should be. Everything acknowledged is in it; the next start looks after the rest.
    #[error("the store was not closed as it should be")]
    Close(#[source] StoreError),
}

impl Service {
    /// A service around an app that is wired and not yet started: it is started with the service, so that its commands are
    /// part of the requests that execute them.
    pub fn new(name: impl Into<String>, app: AppBuilder) -> Self {
        Self {
            name: name.into(),
            app,
            env: Arc::new(SystemEnv),
            routes: Vec::new(),
            versions: Vec::new(),
            consumers: Vec::new(),
            find: None,
            clients: Clients::default(),
            metrics: Registry::default(),
            inbound: InboundOptions::default(),
            ending: ShutdownOptions::default(),
            lag_max: VIEW_LAG_MAX,
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            telemetry: None,
        }
    }

    /// Adds routes that have no version.
    pub fn routes(mut self, routes: impl FnOnce(App) -> Router + Send + 'static) -> Self {
        self.routes.push(Box::new(routes));
        self
    }

    /// Adds the routes of a version of the API, below its name.
    pub fn version(mut self, version: ApiVersion, routes: impl FnOnce(App) -> Router + Send + 'static) -> Self {
        self.versions.push((version, Box::new(routes)));
        self
    }

    /// Answers `GET /operations/{id}`, where [`Accepted`](crate::Accepted) sends clients: says how the operation stands, from
    /// what is recorded of it. `None` when there is none.
    pub fn operations<F>(self, find: impl Fn(App, String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Operation>, Problem>> + Send + 'static,
    {
        Self { find: Some(Arc::new(move |app, id| Box::pin(find(app, id)))), ..self }
    }

    /// Adds something that runs beside the requests, such as a consumer of messages. It must return soon after [`Stop`]; it is
    /// told when no request is in flight any more.
    pub fn consumer<F: Future<Output = ()> + Send + 'static>(
        mut self,
        name: impl Into<String>,
        work: impl FnOnce(App, Stop) -> F + Send + 'static,
    ) -> Self {
        self.consumers.push((name.into(), Box::new(move |app, stop| Box::pin(work(app, stop)))));
        self
    }

    /// The clients of its dependencies, for metrics and health.
    pub fn clients(self, clients: &Clients) -> Self {
        Self { clients: clients.clone(), ..self }
    }

    /// Registers metrics of your own, to appear under `/metrics`.
    pub fn metrics(mut self, register: impl FnOnce(&mut Registry)) -> Self {
        register(&mut self.metrics);
        self
    }

    /// What the process tells. If traces are sent, the events of each command name its span, and what waits to be sent is
    /// sent when the service ends.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        Self { telemetry: Some(telemetry), ..self }
    }

    /// Lets other amounts in.
    pub fn inbound(self, inbound: InboundOptions) -> Self {
        Self { inbound, ..self }
    }

    /// Takes other times to end.
    pub fn ending(self, ending: ShutdownOptions) -> Self {
        Self { ending, ..self }
    }

    /// How far in time a view may be behind before the service says that it is not ready. Default: 30 s.
    pub fn lag_max(self, lag_max: Duration) -> Self {
        Self { lag_max, ..self }
    }

    /// Where to listen. Default: port 8080 of the machine itself alone; port 0 is any that is free.
    pub fn listen(self, addr: impl Into<SocketAddr>) -> Self {
        Self { listen: addr.into(), ..self }
    }

    /// Takes time and ids from elsewhere than the system. The app has its own: give it the same.
    pub fn with_env(self, env: impl Env) -> Self {
        Self { env: Arc::new(env), ..self }
    }

    /// What it is made of, as it is put together so far: for an [`Architecture`](crate::architecture::Architecture).
    /// Nothing need be started.
    #[must_use]
    pub fn describe(&self) -> ServiceDescription {
        let mut description = ServiceDescription::new(&self.name).app(&self.app.describe());
        description.calls = self.clients.describe();
        description.probes = PROBES.map(str::to_owned).into();
        description.request_timeout = self.inbound.timeout;
        description.ending = self.ending.all();
        description.lag_max = self.lag_max;
        description
    }

    /// Starts it and returns: for tests, and for programs with signals of their own.
    ///
    /// # Errors
    /// [`ServiceError`]: nothing runs.
    pub async fn start(self) -> Result<Running, ServiceError> {
        let Self { name, mut app, env, routes, versions, consumers, find, clients, mut metrics, telemetry, .. } = self;
        let listener = TcpListener::bind(self.listen).await;
        let cannot_listen = |source| ServiceError::Listen { addr: self.listen, source };
        let listener = listener.map_err(cannot_listen)?;
        let addr = listener.local_addr().map_err(cannot_listen)?;
        if telemetry.as_ref().is_some_and(Telemetry::sends_traces) {
            app = app.with_trace_context(current);
        }
        let app = app.circumstances(circumstances).start().await?;

        let timeout = self.inbound.timeout;
        clients.register(&mut metrics);
        let deprecated = DeprecatedCalls::default();
        metrics.register("annalist_deprecated_request", "Requests to deprecated versions", deprecated.clone());
        let gate = Gate::new(self.inbound, &mut metrics);

        let pulse = Pulse::new();
        let (started, draining) = (Arc::default(), Arc::default());
        let lag_max = self.lag_max;
        let probes = Probes { app: app.clone(), clients, pulse: pulse.clone(), lag_max, started, draining };

        let mut all = Router::new();
        for routes in routes {
            all = all.merge(routes(app.clone()));
        }
        for (version, routes) in versions {
            all = all.merge(versioned(version, routes(app.clone()), Arc::clone(&env), deprecated.clone()));
        }
        if let Some(find) = find {
            let app = app.clone();
            all = all.merge(operations(move |id| find(app.clone(), id)));
        }
        // Probes and metrics are answered also when there is too much to do.
        let all = gate.around(all).merge(probes.clone().routes()).merge(metrics::metrics(metrics, app.clone()));
        let all = all.layer(RequestLayer::new(env, timeout));

        let mut running = Consumers::new();
        for (name, work) in consumers {
            let app = app.clone();
            running.start(&name, move |stop| work(app, stop));
        }
        let mut beating = JoinSet::new();
        beating.spawn(pulse.beat());
        let server = Server::start(listener, all, Arc::clone(&probes.draining));
        tracing::info!(service = name, %addr, "listening");
        Ok(Running { app, addr, probes, options: self.ending, server, consumers: running, pulse: beating, telemetry })
    }

    /// Runs it until SIGTERM or SIGINT, and ends it in order. A second signal ends the process at once, with the status that
    /// a shell gives to the signal: everything acknowledged is in the store all the same.
    ///
    /// # Errors
    /// [`ServiceError`] when it does not start, or did not end as it should.
    pub async fn run(self) -> Result<(), ServiceError> {
        let mut signals = Signals::new()?;
        let running = self.start().await?;
        signals.next().await;
        select! {
            biased;
            status = signals.next() => {
                tracing::warn!("told to end at once");
                // Without the destructors of C++, which other threads may still depend on.
                signal_hook::low_level::exit(status)
            }
            ended = running.shutdown() => ended,
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// The signals that end a service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServiceError> {
        let listen = |kind| signal(kind).map_err(ServiceError::Signals);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one, and tells the status of a process that it ended.
    async fn next(&mut self) -> i32 {
        let kind = select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        128 + kind.as_raw_value()
    }
}
