//! How an inbox works, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is done with a message in a version of its type that this program does not know yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OnNewer {
    /// It becomes a dead letter at once: replay it when the program is upgraded. Others of its key go on.
    #[default]
    DeadLetter,
    /// It waits, and all later ones of its key with it, until the program is upgraded.
    Wait,
}

/// How an inbox works. Everything has a default that is right for most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InboxOptions {
    /// Most messages that are taken from the broker and not yet acknowledged, those included that wait behind a failing
    /// one. When failing keys hold so many, everything waits. Default 256. Since 0.1.
    pub in_flight_max: usize,
    /// Most messages that are handled at the same time; those of one key are handled one after the other. Default 32.
    /// Since 0.1.
    pub handlers_max: usize,
    /// How often a message is tried that fails for its own sake before it becomes a dead letter. Counted while the service
    /// runs: a restart begins anew. Default 8. Since 0.1.
    pub attempts_max: u32,
    /// The pause after a first failure; it doubles with each further one. Default 100 ms. Since 0.1.
    pub backoff_min: Duration,
    /// The longest pause. Default 30 s. Since 0.1.
    pub backoff_max: Duration,
    /// After how long without a sign of life the broker delivers a message again. Work may take longer: the inbox gives
    /// that sign. Default 30 s. Since 0.1.
    pub ack_wait: Duration,
    /// What is done with versions that are not known yet. Default: dead letter. Since 0.1.
    pub on_newer: OnNewer,
    /// How long a shutdown waits for messages that are being handled. Default 10 s. Since 0.1.
    pub shutdown_grace: Duration,
}

impl InboxOptions {
    /// The pause behind so many failures; `part` is from 0 to 1 and shortens it by up to half.
    pub(super) fn backoff(&self, failures: u32, part: f64) -> Duration {
        let doubled = self.backoff_min.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        doubled.min(self.backoff_max).mul_f64(0.5 + part.clamp(0.0, 1.0) / 2.0)
    }
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            in_flight_max: 256,
            handlers_max: 32,
            attempts_max: 8,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            ack_wait: Duration::from_secs(30),
            on_newer: OnNewer::default(),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}
