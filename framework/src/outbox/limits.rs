//! Every limit of the outbox, with its reason.

use std::time::Duration;

/// Most integration events of one domain event. They are published in one window, which this keeps bounded.
pub const INTEGRATION_EVENTS_PER_EVENT_MAX: usize = 256;

/// Most events that are scanned before the relay looks up: bounds how long it holds an async worker while it maps, and
/// how much it scans again after a restart.
pub(super) const WINDOW_SCANNED_MAX: usize = 4096;

/// How often the head of the log is looked at, so that the lag is visible while the broker is away.
pub(super) const HEAD_INTERVAL: Duration = Duration::from_millis(200);
