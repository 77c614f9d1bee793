//! Taking connections, and letting go of them.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use tower::ServiceExt as _;

use crate::{
    io_threads::IoThreads,
    limits,
    lingering::Lingering,
    stopping::Stopping,
    tls::{Certified, Tls},
};

/// Who is at the other end of a connection. Every request carries it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// Whose certificate it has shown, if it was asked for one and has one that is good.
    pub(crate) certificate: Option<Arc<Certified>>,
}

/// Serves until the server ends; then lets requests in flight finish, for a while.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    routes: Router,
    threads: Arc<IoThreads>,
    stopping: Stopping,
) {
    let builder = builder();
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    loop {
        let (place, (connection, address)) = tokio::select! {
            biased;
            () = stopping.stopped() => break,
            // So that what has ended is forgotten.
            Some(_) = open.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let serving = Serving { builder: builder.clone(), routes: routes.clone(), watcher: graceful.watcher() };
        let (acceptor, stopping) = (tls.as_ref().map(|tls| tls.acceptor()), stopping.clone());
        let serve = async move {
            // Where it was accepted is not where it is served: there its events are waited for.
            let connection = match connection.into_std().and_then(TcpStream::from_std) {
                Ok(connection) => Lingering::new(connection),
                Err(error) => return tracing::warn!(%address, %error, "a connection could not be served"),
            };
            let Some(acceptor) = acceptor else {
                return serving.run(connection, Peer { address, certificate: None }, place).await;
            };
            let agreed = tokio::select! {
                biased;
                () = stopping.stopped() => return,
                agreed = timeout(limits::HANDSHAKE_MAX, acceptor.accept(connection)) => agreed,
            };
            match agreed {
                Ok(Ok(connection)) => {
                    let shown = connection.get_ref().1.peer_certificates();
                    let certificate = shown.and_then(Certified::of).map(Arc::new);
                    serving.run(connection, Peer { address, certificate }, place).await;
                }
                Ok(Err(error)) => tracing::info!(%address, %error, "a connection without TLS, or with other TLS"),
                Err(_) => tracing::info!(%address, "a connection did not agree on TLS in time"),
            }
        };
        open.spawn_on(serve, threads.next());
    }
    drop(listener);
    if timeout(limits::DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!(after = ?limits::DRAIN_MAX, "requests are still in flight; they are cut off");
    }
    open.shutdown().await;
}

/// What serves one connection.
struct Serving {
    builder: Builder<TokioExecutor>,
    routes: Router,
    watcher: Watcher,
}

impl Serving {
    async fn run<C>(self, connection: C, peer: Peer, place: Option<OwnedSemaphorePermit>)
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let address = peer.address;
        let service = self.routes.map_request(move |mut request: Request<_>| {
            request.extensions_mut().insert(peer.clone());
            request
        });
        let serving = self.builder.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service));
        if let Err(error) = self.watcher.watch(serving.into_owned()).await {
            tracing::debug!(%address, %error, "a connection broke");
        }
        drop(place);
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_frame_size(limits::FRAME_BYTES_MAX)
        .max_send_buf_size(limits::SEND_BUFFER_BYTES)
        .max_concurrent_streams(limits::REQUESTS_PER_CONNECTION_MAX)
        .max_pending_accept_reset_streams(limits::RESETS_PENDING_MAX)
        .keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT);
    builder
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, (TcpStream, SocketAddr)) {
    // The semaphore is never closed; if it were, there would be no bound.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((connection, address)) => {
                // Answers are complete when they are written: there is nothing to wait for before they are sent.
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "answers may be delayed");
                }
                return (place, (connection, address));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}
