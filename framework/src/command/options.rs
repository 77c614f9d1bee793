//! How commands are executed, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How commands are executed. Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CommandOptions {
    /// How often a command is tried, the first time included, when others write the same stream or the store takes no
    /// appends at the moment. Default: 32. Since 0.1.
    pub attempts_max: u32,
    /// The longest wait before the second attempt; it doubles with each further one. The wait itself is anything from
    /// nothing up to that, so that those who collided once do not do so again. Default: 2 ms. Since 0.1.
    pub backoff_first: Duration,
    /// The longest wait of all. Default: 250 ms; with 32 attempts some three seconds in all. Since 0.1.
    pub backoff_max: Duration,
    /// How long the caller of a command waits at most, unless it says otherwise: for its turn, for layers, for attempts and
    /// the pauses between them, and for the store's answer. Default: 30 s. `None`: for ever. Since 0.1.
    pub deadline: Option<Duration>,
    /// Commands executed at the same time; others wait for their turn. Default: 4,096. Since 0.1.
    pub in_flight_max: u32,
    /// How many aggregates are kept in memory between commands, the longest unused first to go, so that a hot one is not
    /// loaded each time. Default: 1,024, which is little for states of some kilobytes; set it by how large yours are, or to
    /// 0 for none. Since 0.1.
    ///
    /// Answers are as right as without: what is decided on such a state is recorded only at its version, and before a
    /// rejection is answered the stream is asked for what others have added. It saves the reading of a stream or snapshot.
    pub cached_aggregates_max: u32,
    /// How long a shutdown waits for commands in flight. Default: 10 s. Since 0.1.
    pub shutdown_grace: Duration,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            attempts_max: 32,
            backoff_first: Duration::from_millis(2),
            backoff_max: Duration::from_millis(250),
            deadline: Some(Duration::from_secs(30)),
            in_flight_max: 4096,
            cached_aggregates_max: 1024,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl CommandOptions {
    /// The wait behind so many failed attempts; `part` is from 0 to 1.
    pub(super) fn backoff(&self, failed: u32, part: f64) -> Duration {
        let doubled = self.backoff_first.saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)));
        doubled.min(self.backoff_max).mul_f64(part.clamp(0.0, 1.0))
    }
}
