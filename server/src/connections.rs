//! Taking connections, and letting go of them.

use std::sync::Arc;

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{limits, stopping::Stopping};

/// Serves until the server ends; then lets requests in flight finish, for a while.
pub(crate) async fn serve(listener: TcpListener, routes: Router, stopping: Stopping) {
    let builder = builder();
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    loop {
        let (place, connection) = tokio::select! {
            biased;
            () = stopping.stopped() => break,
            // So that what has ended is forgotten.
            Some(_) = open.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let service = TowerToHyperService::new(routes.clone());
        let serving = builder.serve_connection(TokioIo::new(connection), service);
        let serving = graceful.watch(serving.into_owned());
        open.spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(limits::DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!(after = ?limits::DRAIN_MAX, "requests are still in flight; they are cut off");
    }
    open.shutdown().await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::REQUESTS_PER_CONNECTION_MAX)
        .max_pending_accept_reset_streams(limits::RESETS_PENDING_MAX)
        .keep_alive_interval(limits::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEP_ALIVE_TIMEOUT);
    builder
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // The semaphore is never closed; if it were, there would be no bound.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((connection, _)) => {
                // Answers are complete when they are written: there is nothing to wait for before they are sent.
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "answers may be delayed");
                }
                return (place, connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}
