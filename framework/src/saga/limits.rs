//! Every limit of sagas, with its reason.

use std::time::Duration;

/// Longest name of a saga, in bytes. With `saga.` before it, it names a view, which has 64.
pub(super) const NAME_BYTES_MAX: usize = 59;

/// Most commands that wait for an outcome, and most timers, of one instance: all of them are part of each of its records.
pub(super) const OPEN_EFFECTS_MAX: usize = 256;

/// Most bytes of a rejection as JSON; of a longer one only the message is kept. It is the limit of a recorded reply.
pub(super) const REJECTION_BYTES_MAX: usize = 64 * 1024;

/// Most instances that wait for their turn to be worked on. The intake waits while there are more.
pub(super) const WOKEN_MAX: usize = 4096;

/// Most events that are routed before they are taken, and most timers that are read at once.
pub(super) const BATCH_MAX: usize = 256;

/// Rows of instances that are read at once when a saga starts.
pub(super) const PAGE_MAX: usize = 1024;

/// Longest sleep until a timer: a clock that is set or a machine that was suspended is noticed within this.
pub(super) const SLEEP_MAX: Duration = Duration::from_mins(1);

/// The pause before rows that turned out to be behind are looked at again.
pub(super) const STALE_PAUSE: Duration = Duration::from_millis(50);

/// How long the rows may take to see what is recorded: for ever, since the log has it.
pub(super) const PATIENCE: Duration = Duration::from_hours(365 * 24);
