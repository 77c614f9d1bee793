//! The one place where projections leave the async workers for calls that block.

use std::sync::Arc;

use annalist_core::StoreError;

use crate::env::Env;

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

/// Which program this is.
pub(super) async fn program(env: &Arc<dyn Env>) -> Result<u64, StoreError> {
    let env = Arc::clone(env);
    blocking(move || Ok(env.program())).await
}
