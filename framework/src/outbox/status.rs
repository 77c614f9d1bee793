//! What a relay tells of itself.

use std::fmt;

use annalist_core::{Cursor, Position, StoreError};

use super::{mapping::MapError, publisher::Published};

/// What a relay is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayState {
    /// It has not yet read its note: how far it came before is not known.
    Starting,
    /// The broker is not there yet, or no more; the relay keeps trying. The service works without it.
    Connecting,
    /// The broker takes messages.
    Connected,
    /// The relay has ended; only a restart of the service starts it again.
    Stopped(Stopped),
}

/// Why a relay has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// It was told to.
    #[error("the relay was shut down")]
    Shutdown,
    /// A domain event cannot be read or mapped. It is never left out: do what the error says and restart.
    #[error("the event `{event_type}` at position {position} cannot be mapped: {error}; mend that and restart")]
    Unmappable {
        /// Where the event stands.
        position: Position,
        /// Its recorded type.
        event_type: String,
        /// What the mapping said.
        error: MapError,
    },
    /// The broker refuses a message for what it is. It is never left out: correct the mapping, or the broker's limits.
    #[error(
        "the broker refuses the message {id} of the event at position {position}: {detail}; correct the mapping or the \
         broker's limits and restart"
    )]
    Refused {
        /// Where the event of the message stands.
        position: Position,
        /// Which message.
        id: String,
        /// What the broker said.
        detail: String,
    },
    /// The destination cannot be used as it is configured.
    #[error("the destination cannot be used: {detail}")]
    Misconfigured {
        /// What is wrong, and what to change.
        detail: String,
    },
    /// The broker's last message was not made from this log: another store publishes there, or this store was restored
    /// from a backup that is older than what was published.
    #[error(
        "the broker's last message was made of event {} at {}, which is not in this log (head {head}): another store \
         publishes there, or this one is an older copy; publish to a new stream, or bring back the store that wrote it",
        .last.event_id, .last.cursor
    )]
    Foreign {
        /// What the broker's last message says.
        last: Published,
        /// The head of this log.
        head: Cursor,
    },
    /// The broker no longer keeps its last message and no note of ours fits, so that nothing tells where to continue.
    #[error(
        "the broker no longer keeps its last message (number {sequence}) and no local note fits it, so that nothing \
         tells where to continue; publish to a new stream to begin again"
    )]
    LostTrack {
        /// The broker's number of that message.
        sequence: u64,
    },
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(StoreError),
    /// The mapping or the publisher panicked, or the runtime was shut down.
    #[error("the relay ended without a reason: its mapping or publisher panicked, or the runtime was dropped")]
    Abandoned,
}

/// What a relay has done and what it has still to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// The name of the publisher.
    pub destination: String,
    /// What it is doing.
    pub state: RelayState,
    /// Everything up to here is published, or maps to nothing.
    pub scanned: Cursor,
    /// The last durable event of the log.
    pub head: Cursor,
    /// The last message that the broker is known to hold.
    pub last: Option<Published>,
    /// The broker's number of that message.
    pub sequence: u64,
    /// How many messages were acknowledged since the relay was started.
    pub published: u64,
    /// How often another relay was found to have published in between; more than now and then means that two run.
    pub fenced: u64,
    /// What went wrong last; `None` again once a window is published.
    pub last_error: Option<String>,
}

impl RelayStatus {
    pub(super) fn new(destination: String) -> Self {
        Self {
            destination,
            state: RelayState::Starting,
            scanned: Cursor::START,
            head: Cursor::START,
            last: None,
            sequence: 0,
            published: 0,
            fenced: 0,
            last_error: None,
        }
    }

    /// How many events of the log the relay has not dealt with yet, those included that map to nothing.
    #[must_use]
    pub const fn lag(&self) -> u64 {
        self.head.position.get().saturating_sub(self.scanned.position.get())
    }

    /// Whether the broker takes messages.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == RelayState::Connected
    }

    /// Why the relay has ended, if it has.
    #[must_use]
    pub const fn stopped(&self) -> Option<&Stopped> {
        match &self.state {
            RelayState::Stopped(why) => Some(why),
            RelayState::Starting | RelayState::Connecting | RelayState::Connected => None,
        }
    }
}

impl fmt::Display for RelayStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, published, .. } = self;
        write!(f, "{destination}: {published} published, {} events behind", self.lag())?;
        match &self.state {
            RelayState::Connected => f.write_str(", connected")?,
            RelayState::Starting | RelayState::Connecting => f.write_str(", not connected")?,
            RelayState::Stopped(why) => return write!(f, ", stopped: {why}"),
        }
        match &self.last_error {
            Some(error) => write!(f, "; last error: {error}"),
            None => Ok(()),
        }
    }
}
