//! The one place where projections leave the async workers for calls that block.

use annalist_core::StoreError;

/// Runs something that blocks where that does no harm.
pub(super) async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and has not begun the work.
            Err(_) => Err(StoreError::Closed.into()),
        },
    }
}
