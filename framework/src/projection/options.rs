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
    /// Batches of a rebuild that are decoded ahead of the one that is being applied, each by a thread of its own. Events are
    /// applied in order all the same, one after the other. 0: each is decoded when its turn comes. It costs the memory of so
    /// many batches. Default: 2. Since 0.1.
    pub rebuild_decoders: usize,
    /// How often one event is tried, the first time included, before the projection stops at it or parks its key; a
    /// projection may say otherwise: [`OnFailure`](super::OnFailure). Default: 6. Since 0.1.
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
            rebuild_decoders: 2,
            attempts_max: 6,
            backoff_first: Duration::from_millis(100),
            patience: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// How a rebuild works: as quickly as it can, unless it is told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RebuildOptions {
    /// It replays at most so many events in a second, on average. Default: no limit. Since 0.1.
    pub events_per_second_max: Option<u32>,
    /// The view that it replaces is kept, so that one can roll back to it, until it is released or the next view comes
    /// into place. It costs its space and nothing else: it does not follow the log. Default: no. Since 0.1.
    pub keep_previous: bool,
}

impl RebuildOptions {
    /// At most so many events in a second, on average.
    #[must_use]
    pub const fn events_per_second_max(self, events: u32) -> Self {
        Self { events_per_second_max: Some(events), ..self }
    }

    /// The view that is replaced is kept.
    #[must_use]
    pub const fn keep_previous(self) -> Self {
        Self { keep_previous: true, ..self }
    }
}

/// The longest wait before another attempt: how late, at most, a projection notices that a store is back.
pub(super) const BACKOFF_LONGEST: Duration = Duration::from_secs(10);

/// The time over which rates are measured.
pub(super) const RATE_WINDOW: Duration = Duration::from_secs(5);

/// Messages to a runner that wait. Each sender waits for its answer.
pub(super) const CONTROL_QUEUE: usize = 1;
