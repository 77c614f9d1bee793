//! How a saga works, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which events a saga begins with when it is first started. Afterwards it goes on where it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Begin {
    /// With what is recorded from then on: a saga that is added to a running system does not do its history again.
    #[default]
    Now,
    /// With the first event of the log: every process that history began is begun, and its commands are sent.
    History,
}

/// How a saga works. Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SagaOptions {
    /// Which events it begins with when it is first started. Default: [`Begin::Now`]. Since 0.1.
    pub begin: Begin,
    /// Instances whose events are recorded at the same time. Default: 64. Since 0.1.
    pub intake_max: usize,
    /// Instances whose commands are sent at the same time; those of one instance are sent one after the other. Default:
    /// 64. Since 0.1.
    pub dispatch_max: usize,
    /// The pause after a failure that may pass by itself; it doubles with each further one. Default: 100 ms. Since 0.1.
    pub backoff_first: Duration,
    /// The longest pause. Default: 30 s. Since 0.1.
    pub backoff_max: Duration,
    /// How often, at most, it is noted durably how far the log was followed. Default: 1 s. Since 0.1.
    pub note_interval: Duration,
    /// How long a shutdown waits for commands in flight. Default: 10 s. Since 0.1.
    pub shutdown_grace: Duration,
}

impl SagaOptions {
    /// With another first event.
    #[must_use]
    pub const fn begin(mut self, begin: Begin) -> Self {
        self.begin = begin;
        self
    }

    /// The pause behind so many failures; `part` is from 0 to 1.
    pub(super) fn backoff(&self, failures: u32, part: f64) -> Duration {
        let doubled = self.backoff_first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        doubled.min(self.backoff_max).mul_f64(0.5 + part.clamp(0.0, 1.0) / 2.0)
    }
}

impl Default for SagaOptions {
    fn default() -> Self {
        Self {
            begin: Begin::Now,
            intake_max: 64,
            dispatch_max: 64,
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            note_interval: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}
