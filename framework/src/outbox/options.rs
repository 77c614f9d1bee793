//! How a relay works, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a relay works. The defaults were measured against one broker on the same machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RelayOptions {
    /// Most messages in one window: published together, acknowledged together. Default 512. Since 0.1.
    pub window_messages_max: usize,
    /// Most bytes in one window, one message at least. Default 4 MiB. Since 0.1.
    pub window_bytes_max: usize,
    /// How often, at most, the relay notes durably how far it has scanned. Default 1 s. Since 0.1.
    pub note_interval: Duration,
    /// The pause after a first failure; it doubles with each further one. Default 50 ms. Since 0.1.
    pub backoff_min: Duration,
    /// The longest pause. Default 5 s. Since 0.1.
    pub backoff_max: Duration,
    /// How long a shutdown waits for the window in flight. Default 5 s. Since 0.1.
    pub shutdown_grace: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            window_messages_max: 512,
            window_bytes_max: 4 * 1024 * 1024,
            note_interval: Duration::from_secs(1),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}
