//! The handle of a running relay.

use std::sync::Arc;

use annalist_core::{Checkpoints, Cursor, EventStore, StoreError};
use annalist_metrics::{Health, Metrics};
use tokio::sync::watch;
use tracing::Instrument;

use super::{
    status::{RelayState, RelayStatus, Stopped},
    task::Task,
    wiring::Outbox,
};
use crate::metrics::RelayMetrics;

/// A running relay: the task that carries one outbox's messages to its destination. Dropping it stops the task.
#[derive(Debug)]
pub struct Relay {
    status: watch::Receiver<RelayStatus>,
    stop: watch::Sender<bool>,
    log: Log,
    measured: Arc<RelayMetrics>,
}

/// Why a wait for a relay has ended without what it waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// The relay has stopped before it came so far.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The head of the log could not be read.
    #[error(transparent)]
    Log(#[from] StoreError),
}

impl Relay {
    pub(super) fn start(outbox: Outbox, log: Arc<dyn EventStore>, notes: Arc<dyn Checkpoints>) -> Self {
        let destination = outbox.publisher.name();
        let span = tracing::info_span!("annalist.outbox", destination);
        let (status, status_receiver) = watch::channel(RelayStatus::new(destination));
        let (stop, stop_receiver) = watch::channel(false);
        let measured = Arc::new(RelayMetrics::new());
        let task = Task::new(outbox, Arc::clone(&log), notes, status, stop_receiver, Arc::clone(&measured));
        tokio::spawn(task.run().instrument(span));
        Self { status: status_receiver, stop, log: Log(log), measured }
    }

    /// What the relay has done and what it has still to do, as of now.
    #[must_use]
    pub fn status(&self) -> RelayStatus {
        self.status.borrow().clone()
    }

    /// Whether it carries messages. A broker that is away is none of its failures.
    pub(crate) fn health(&self) -> Health {
        let status = self.status.borrow();
        match &status.state {
            RelayState::Connected => Health::Healthy,
            RelayState::Starting => Health::degraded("it starts"),
            RelayState::Connecting => {
                let why = status.last_error.as_deref().unwrap_or("it has not been reached yet");
                Health::degraded(format!("the destination is not connected: {why}"))
            }
            RelayState::Stopped(why) => Health::failed(why.to_string()),
        }
    }

    /// Adds what was counted up to now.
    pub(crate) fn collect(&self, destination: &str, metrics: &mut Metrics) {
        self.measured.collect(destination, metrics);
    }

    /// The status and every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<RelayStatus> {
        self.status.clone()
    }

    /// Waits until the relay knows how far it came before, and returns its status: what a report of what waits needs
    /// while there is no broker.
    pub async fn started(&self) -> RelayStatus {
        let mut watch = self.watch();
        // An error means that the task is gone; it has left its last status behind.
        _ = watch.wait_for(|status| status.state != RelayState::Starting).await;
        self.status()
    }

    /// Waits until everything up to `cursor` is published, for as long as that takes: with the broker away, for ever.
    ///
    /// # Errors
    /// Why the relay has stopped, if it stops before.
    pub async fn published(&self, cursor: Cursor) -> Result<(), Stopped> {
        let mut watch = self.watch();
        let done = |status: &RelayStatus| status.scanned.position >= cursor.position || status.stopped().is_some();
        let Ok(status) = watch.wait_for(done).await else { return Err(Stopped::Abandoned) };
        match status.stopped() {
            Some(why) if status.scanned.position < cursor.position => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// Waits until everything is published that is in the log at the time of the call; returns the head of that time.
    ///
    /// # Errors
    /// Why the relay has stopped, if it stops before, or why the head cannot be read.
    pub async fn drained(&self) -> Result<Cursor, DrainError> {
        let head = self.log.0.head().await?;
        self.published(head).await?;
        Ok(head)
    }

    /// Stops the relay: it finishes the window in flight within
    /// [`shutdown_grace`](super::RelayOptions::shutdown_grace), notes how far it has come, and ends. What it has not
    /// published it publishes after the next start. Returns the last status.
    pub async fn shutdown(&self) -> RelayStatus {
        self.stop.send_replace(true);
        let mut watch = self.watch();
        // An error means that the task is gone; it has left its last status behind.
        _ = watch.wait_for(|status| matches!(status.state, RelayState::Stopped(_))).await;
        self.status()
    }
}

/// The log, which has nothing to show in a debug print.
struct Log(Arc<dyn EventStore>);

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

#[cfg(test)]
mod tests;
