//! The one place where projections leave the async workers for calls that block.

use std::{cell::Cell, sync::Arc};

use annalist_core::StoreError;

use crate::env::Env;

thread_local! {
    static IN_PLACE: Cell<bool> = const { Cell::new(false) };
}

/// While it is there, its thread makes calls that block itself: what happens next depends on no other thread then.
#[cfg(feature = "simulation")]
#[derive(Debug)]
pub(crate) struct InPlace(());

#[cfg(feature = "simulation")]
impl InPlace {
    pub(crate) fn begin() -> Self {
        IN_PLACE.set(true);
        Self(())
    }
}

#[cfg(feature = "simulation")]
impl Drop for InPlace {
    fn drop(&mut self) {
        IN_PLACE.set(false);
    }
}

/// Runs something that blocks where that does no harm.
pub(super) async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    if IN_PLACE.get() {
        return work();
    }
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
