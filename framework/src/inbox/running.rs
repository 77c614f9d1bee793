//! The handle of a running inbox.

use tokio::sync::watch;

use super::status::{InboxState, InboxStatus};

/// A running inbox. Dropping it stops the task.
#[derive(Debug)]
pub struct RunningInbox {
    status: watch::Receiver<InboxStatus>,
    stop: watch::Sender<bool>,
}

impl RunningInbox {
    pub(super) const fn new(status: watch::Receiver<InboxStatus>, stop: watch::Sender<bool>) -> Self {
        Self { status, stop }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.status.borrow().inbox
    }

    /// What the inbox has done and what it has still to do, as of now.
    #[must_use]
    pub fn status(&self) -> InboxStatus {
        self.status.borrow().clone()
    }

    /// The status and every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<InboxStatus> {
        self.status.clone()
    }

    /// Waits until `wanted` is true of the status, for as long as that takes or until the inbox ends; returns the status then.
    pub async fn until(&self, mut wanted: impl FnMut(&InboxStatus) -> bool) -> InboxStatus {
        let mut watch = self.watch();
        // An error means that the task is gone; it has left its last status behind.
        _ = watch.wait_for(|status| wanted(status) || status.stopped().is_some()).await;
        self.status()
    }

    /// Stops the inbox: it takes nothing more from the broker, lets handlers finish the attempt that they are at within
    /// [`shutdown_grace`](super::InboxOptions::shutdown_grace), gives the rest back, and ends. Returns the last status.
    pub async fn shutdown(&self) -> InboxStatus {
        self.stop.send_replace(true);
        self.until(|status| matches!(status.state, InboxState::Stopped(_))).await
    }
}
