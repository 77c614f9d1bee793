//! The door through which commands come in, and which a shutdown closes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{CommandError, CommandOptions};

/// Bounds the commands in flight, and knows when there are none.
#[derive(Debug)]
pub(crate) struct Gate {
    permits: Semaphore,
    permits_max: u32,
    closing: AtomicBool,
}

impl Gate {
    pub(crate) fn new(options: &CommandOptions) -> Self {
        let permits_max = options.in_flight_max.max(1);
        let permits = usize::try_from(permits_max).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { permits: Semaphore::new(permits), permits_max, closing: AtomicBool::new(false) }
    }

    /// Waits for a turn. The command is in flight until the permit is dropped.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, CommandError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(CommandError::Closed);
        }
        self.permits.acquire().await.map_err(|_| CommandError::Closed)
    }

    /// How many commands are in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        u64::from(self.permits_max).saturating_sub(self.permits.available_permits() as u64)
    }

    /// Whether no more commands are taken.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Lets no more commands in and waits for those in flight; `false` if some still were when `grace` was over.
    pub(crate) async fn close(&self, grace: Duration) -> bool {
        self.closing.store(true, Ordering::Release);
        // Whoever waits already is served first; whoever comes later waits behind this, and is told when it is closed.
        let all = self.permits.acquire_many(self.permits_max);
        let drained = !matches!(tokio::time::timeout(grace, all).await, Err(_elapsed));
        self.permits.close();
        drained
    }
}
