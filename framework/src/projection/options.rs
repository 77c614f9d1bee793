//! How projections work, as data; and the limits that are not for choosing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How projections work. Everything has a default that is right for most.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProjectionOptions {
    /// Events per transaction of a view that follows the log, about. Bounds the memory of a transaction and what is
    /// applied again after a failure. Default: 1,024. Since 0.1.
    pub live_batch_events: usize,
    /// Events per transaction of a rebuild, about: rows that change often are written once per transaction. Default:
    /// 16,384. Since 0.1.
    pub rebuild_batch_events: usize,
    /// How often one event is tried, the first time included, before the projection stops at it. Default: 6. Since 0.1.
    pub attempts_max: u32,
    /// The wait before the second attempt, give or take half of it; it doubles with every further one. Default: 100 ms,
    /// with six attempts about three seconds in all. Since 0.1.
    pub backoff_first: Duration,
    /// How long a reader waits for a view to see its cursor, unless it says otherwise. Default: 5 s. Since 0.1.
    pub patience: Duration,
    /// How long a shutdown waits for batches in progress before it drops them, which rolls them back. Default: 10 s.
    /// Since 0.1.
    pub shutdown_grace: Duration,
}

impl Default for ProjectionOptions {
    fn default() -> Self {
        Self {
            live_batch_events: 1024,
            rebuild_batch_events: 16 * 1024,
            attempts_max: 6,
            backoff_first: Duration::from_millis(100),
            patience: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// The longest wait before another attempt: how late, at most, a projection notices that a store is back.
pub(super) const BACKOFF_LONGEST: Duration = Duration::from_secs(10);

/// The time over which rates are measured.
pub(super) const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Messages to a runner that wait: there is one rebuild at a time for each projection.
pub(super) const CONTROL_QUEUE: usize = 1;
