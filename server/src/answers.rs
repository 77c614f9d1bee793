//! A bound on how many answers are being sent at a time.

use std::sync::Arc;

use annalist_core::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The answers that may be sent at a time: reads, subscriptions, calls that short reads share. Each holds events until its reader
/// takes them, so their number is what bounds their memory.
#[derive(Clone)]
pub(crate) struct AnswersMax(Arc<Semaphore>);

/// One of them. Whoever sends an answer keeps it until the end.
pub(crate) struct Answer {
    _place: OwnedSemaphorePermit,
}

impl AnswersMax {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// Begins an answer, if there are not too many. It does not wait: subscriptions may never end.
    pub(crate) fn begin(&self) -> Result<Answer, StoreError> {
        let why = "as many reads and subscriptions are open as there may be (answers_max); try again later";
        let place = Arc::clone(&self.0).try_acquire_owned();
        place.map(|place| Answer { _place: place }).map_err(|_| StoreError::Unavailable { why: why.to_owned() })
    }
}
