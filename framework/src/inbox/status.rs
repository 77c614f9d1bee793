//! What an inbox tells of itself.

use std::fmt;

/// What an inbox is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboxState {
    /// The broker is not there yet, or no more; the inbox keeps trying. The service works without it.
    Connecting,
    /// The broker delivers.
    Connected,
    /// The inbox has ended; only a restart of the service starts it again.
    Stopped(InboxStopped),
}

/// Why an inbox has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InboxStopped {
    /// It was told to.
    #[error("the inbox was shut down")]
    Shutdown,
    /// What it consumes cannot be used as it is configured.
    #[error("it cannot be consumed as it is configured: {detail}; mend that and restart")]
    Misconfigured {
        /// What is wrong, and what to change.
        detail: String,
    },
    /// The consumer panicked, or the runtime was shut down.
    #[error("the inbox ended without a reason: its consumer panicked, or the runtime was dropped")]
    Abandoned,
}

/// What an inbox has done and what it has still to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxStatus {
    /// Its name.
    pub inbox: &'static str,
    /// The name of the consumer.
    pub consumer: String,
    /// What it is doing.
    pub state: InboxState,
    /// How many messages were handled since it was started, repetitions included.
    pub handled: u64,
    /// How many messages nobody wanted.
    pub skipped: u64,
    /// How many became dead letters.
    pub dead: u64,
    /// How many attempts have failed.
    pub failures: u64,
    /// How many messages pause after a failure, each with its key waiting behind it.
    pub failing: u64,
    /// How many messages are taken from the broker and not yet acknowledged.
    pub held: u64,
    /// How many wait at the broker, as far as the last delivery said.
    pub behind: u64,
    /// What went wrong last with the broker or a message; `None` again once a message is handled and none is failing.
    pub last_error: Option<String>,
}

impl InboxStatus {
    pub(super) const fn new(inbox: &'static str, consumer: String) -> Self {
        Self {
            inbox,
            consumer,
            state: InboxState::Connecting,
            handled: 0,
            skipped: 0,
            dead: 0,
            failures: 0,
            failing: 0,
            held: 0,
            behind: 0,
            last_error: None,
        }
    }

    /// How many messages are known that are not dealt with.
    #[must_use]
    pub const fn lag(&self) -> u64 {
        self.held.saturating_add(self.behind)
    }

    /// How many messages were dealt with: handled, passed over or put aside.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.handled.saturating_add(self.skipped).saturating_add(self.dead)
    }

    /// Whether the broker delivers.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == InboxState::Connected
    }

    /// Why the inbox has ended, if it has.
    #[must_use]
    pub const fn stopped(&self) -> Option<&InboxStopped> {
        match &self.state {
            InboxState::Stopped(why) => Some(why),
            InboxState::Connecting | InboxState::Connected => None,
        }
    }
}

/// For people: `payments of nats:PAYMENTS: 12 handled, 0 held, 0 behind, 1 dead; connected`.
impl fmt::Display for InboxStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inbox, consumer, handled, held, behind, dead, .. } = self;
        write!(f, "{inbox} of {consumer}: {handled} handled, {held} held, {behind} behind, {dead} dead; ")?;
        match &self.state {
            InboxState::Connecting => f.write_str("connecting")?,
            InboxState::Connected => f.write_str("connected")?,
            InboxState::Stopped(why) => write!(f, "stopped: {why}")?,
        }
        match &self.last_error {
            Some(error) => write!(f, " (last error: {error})"),
            None => Ok(()),
        }
    }
}
