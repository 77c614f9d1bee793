//! Every limit of the inbox, with its reason.

use std::time::Duration;

/// Parts of `ack_wait` after which the broker is told that a message is still worked on: a signal may be lost, and
/// another late.
pub(super) const SIGNALS_PER_ACK_WAIT: u32 = 3;

/// Bytes of an error's text that are kept with a dead letter: headers of brokers are short.
pub(super) const ERROR_BYTES_MAX: usize = 2_048;

/// How long what was done may not be noted: so much comes again after a restore that need not, and each note is a synced write.
pub(super) const NOTE_INTERVAL: Duration = Duration::from_secs(1);
