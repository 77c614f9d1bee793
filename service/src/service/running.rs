//! A service as it runs, and the order in which it ends.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use annalist::App;
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
    serve::ListenerExt,
};
use futures_util::future::join_all;
use http::{HeaderValue, Version, header};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::Instrument;

use super::{ServiceError, ShutdownOptions};
use crate::{
    health::{Health, Probes},
    telemetry::Telemetry,
};

/// A running service. Dropping it ends its tasks where they are; [`Running::shutdown`] ends it in order.
pub struct Running {
    pub(super) app: App,
    pub(super) addr: SocketAddr,
    pub(super) probes: Probes,
    pub(super) options: ShutdownOptions,
    pub(super) server: Server,
    pub(super) consumers: Consumers,
    /// What has nothing to finish.
    pub(super) pulse: JoinSet<()>,
    pub(super) telemetry: Option<Telemetry>,
}

/// The task that takes connections.
pub(super) struct Server {
    stop: watch::Sender<bool>,
    task: JoinSet<std::io::Result<()>>,
}

impl Server {
    pub(super) fn start(listener: TcpListener, routes: Router, draining: Arc<AtomicBool>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let routes = routes.layer(from_fn_with_state(draining, closing));
        // Answers are small and complete: there is nothing to wait for before they are sent.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "answers may be delayed");
            }
        });
        let mut task = JoinSet::new();
        let stop_taking = Stop(stopped);
        task.spawn(async move {
            axum::serve(listener, routes).with_graceful_shutdown(async move { stop_taking.stopped().await }).await
        });
        Self { stop, task }
    }

    /// Takes no more connections; waits for requests in flight, for as long as `options` say.
    async fn drain(mut self, options: &ShutdownOptions) {
        self.stop.send_replace(true);
        match timeout(options.drain_max, self.task.join_next()).await {
            Ok(Some(Ok(Ok(()))) | None) => {}
            Ok(Some(failed)) => tracing::warn!(?failed, "the server ended badly"),
            Err(_) => tracing::warn!(after = ?options.drain_max, "requests are still in flight; they are cut off"),
        }
    }
}

/// Asks clients to close their connections once the service is about to end: the next request finds another process.
async fn closing(State(draining): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    let may_say_so = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if may_say_so && draining.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Tells a consumer when to end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until it is time to end: take nothing more in, finish what is under way, return.
    pub async fn stopped(&self) {
        // An error means that the service is gone altogether.
        _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}

/// The tasks that consume messages.
pub(super) struct Consumers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Consumers {
    pub(super) fn new() -> Self {
        Self { stop: watch::channel(false).0, tasks: JoinSet::new() }
    }

    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(&mut self, name: &str, work: impl FnOnce(Stop) -> F) {
        let span = tracing::info_span!("annalist.consumer", consumer = name);
        self.tasks.spawn(work(Stop(self.stop.subscribe())).instrument(span));
    }

    async fn end(mut self, options: &ShutdownOptions) {
        self.stop.send_replace(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::warn!(%error, "a consumer ended badly");
                }
            }
        };
        if timeout(options.consumers_max, ended).await.is_err() {
            tracing::warn!(after = ?options.consumers_max, "consumers did not end; what they are at is delivered again");
        }
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its app.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// How it is.
    pub async fn health(&self) -> Health {
        self.probes.health().await
    }

    /// Ends it in order: it says that it is not ready, takes no more connections, finishes the requests in flight, stops its
    /// consumers, takes no more commands, lets outboxes become empty, closes the store, and sends the spans that are left. Each step has its bound; what is
    /// left then is cut off and said, and nothing that was acknowledged is lost.
    ///
    /// # Errors
    /// [`ServiceError::Close`] when the store could not be closed as it should.
    pub async fn shutdown(self) -> Result<(), ServiceError> {
        let Self { app, probes, options, server, consumers, pulse, telemetry, .. } = self;
        tracing::info!("ending: not ready any more");
        probes.draining.store(true, Ordering::Relaxed);
        sleep(options.unready_pause).await;
        tracing::info!("ending: no more connections are taken");
        server.drain(&options).await;
        consumers.end(&options).await;
        app.stop_intake().await;
        let flushed = join_all(app.relays().iter().map(annalist::outbox::Relay::drained));
        let flushed = timeout(options.flush_max, flushed).await;
        if !flushed.is_ok_and(|relays| relays.iter().all(Result::is_ok)) {
            tracing::warn!("an outbox is not empty; it goes on after the next start");
        }
        let closed = app.shutdown().await;
        drop(pulse);
        match &closed {
            Ok(()) => tracing::info!("ended: the store is closed"),
            Err(error) => tracing::error!(%error, "ended: the store was not closed as it should be"),
        }
        if let Some(telemetry) = telemetry {
            telemetry.end(options.telemetry_max).await;
        }
        closed.map_err(ServiceError::Close)
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("addr", &self.addr).field("app", &self.app).finish_non_exhaustive()
    }
}
