//! How a service ends, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{CONSUMERS_STOP_MAX, DRAIN_MAX, FLUSH_MAX, TELEMETRY_MAX, UNREADY_PAUSE};

/// How long each step of a shutdown may take. The defaults fit, together, into the 30 s that Kubernetes gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ShutdownOptions {
    /// How long requests are still taken while `/health/ready` says no and answers ask clients to close their connections.
    /// Default: 1 s. Since 0.1.
    pub unready_pause: Duration,
    /// How long requests in flight are waited for. Default: 11 s. Since 0.1.
    pub drain_max: Duration,
    /// How long consumers are waited for. Default: 5 s. Since 0.1.
    pub consumers_max: Duration,
    /// How long outboxes may take to become empty. Default: 5 s. Since 0.1.
    pub flush_max: Duration,
    /// How long spans may take to be sent, after the store is closed. Default: 3 s. Since 0.1.
    pub telemetry_max: Duration,
}

impl Default for ShutdownOptions {
    fn default() -> Self {
        Self {
            unready_pause: UNREADY_PAUSE,
            drain_max: DRAIN_MAX,
            consumers_max: CONSUMERS_STOP_MAX,
            flush_max: FLUSH_MAX,
            telemetry_max: TELEMETRY_MAX,
        }
    }
}

impl ShutdownOptions {
    /// How long all steps together may take.
    #[must_use]
    pub fn all(&self) -> Duration {
        let Self { unready_pause, drain_max, consumers_max, flush_max, telemetry_max } = self;
        *unready_pause + *drain_max + *consumers_max + *flush_max + *telemetry_max
    }
}
