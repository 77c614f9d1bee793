//! The word that the server is about to end.

use tokio::sync::watch;

/// Says that the server is about to end.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (stop, stopping) = watch::channel(false);
        (stop, Self(stopping))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is.
    pub(crate) async fn stopped(&self) {
        // An error means that whoever could say so is gone.
        _ = self.0.clone().wait_for(|stop| *stop).await;
    }
}
