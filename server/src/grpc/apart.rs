//! Work that is done on another thread than the connection's.

use std::{
    future::pending,
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    runtime::Handle,
    task::{JoinError, JoinHandle},
};

/// Has this done by a runtime's own threads. It ends where it is when nobody waits for it any more.
pub(super) async fn apart<T: Send + 'static>(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    match Waited(runtime.spawn(work)).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is ending, and everything with it.
            Err(_) => pending().await,
        },
    }
}

/// A task that somebody waits for.
struct Waited<T>(JoinHandle<T>);

impl<T> Future for Waited<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Waited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
