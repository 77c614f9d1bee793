//! A semaphore that serves in order, with the signatures of `tokio::sync`.

use std::sync::Arc;

use shuttle::future::batch_semaphore::{AcquireError, BatchSemaphore, Fairness};

pub(crate) struct Semaphore(BatchSemaphore);

impl Semaphore {
    pub(crate) fn new(permits: usize) -> Self {
        Self(BatchSemaphore::new(permits, Fairness::StrictlyFair))
    }

    pub(crate) async fn acquire_many_owned(self: Arc<Self>, count: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.0.acquire(count as usize).await?;
        Ok(OwnedSemaphorePermit { semaphore: self, count })
    }

    pub(crate) fn available_permits(&self) -> usize {
        self.0.available_permits()
    }
}

pub(crate) struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    count: u32,
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.0.release(self.count as usize);
    }
}
