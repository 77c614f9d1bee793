//! Work that may block, with the signatures of `tokio::task`.

pub(crate) use shuttle::future::JoinHandle;

pub(crate) fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    shuttle::future::spawn(async move { work() })
}
