//! What is imported: events with the ids, versions and times that they had elsewhere.

use crate::{
    error::{AppendError, StoreError},
    event::{EventId, NewEvent, Timestamp},
    position::{Cursor, Version},
    stream::StreamId,
};

/// An event as another store recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its version there.
    pub version: Version,
    /// When it was recorded.
    pub time: Timestamp,
    /// The event, with its id.
    pub event: NewEvent,
}

/// What became of events that were to be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many were recorded.
    pub recorded: u64,
    /// How many were there already, under the same id and version.
    pub present: u64,
    /// The head of the log then.
    pub head: Cursor,
}

/// Why nothing was recorded of these events. `at` says which one is the reason, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Versions would be missing. Import the whole stream, in order.
    #[error(
        "this is version {version} of stream `{stream}`, which ends at {head} here: versions are never left out; import the \
         stream from version {} on, in order", .head.next()
    )]
    Gap {
        /// Which event.
        at: usize,
        /// Its stream.
        stream: StreamId,
        /// Its version.
        version: Version,
        /// The last version that is there.
        head: Version,
    },
    /// Another event stands there. The stream went another way here; import into another store.
    #[error(
        "version {version} of stream `{stream}` is another event here ({there}): the stream went another way; import into \
         another store"
    )]
    Taken {
        /// Which event.
        at: usize,
        /// Its stream.
        stream: StreamId,
        /// Its version.
        version: Version,
        /// The event that is there.
        there: EventId,
    },
    /// Times of the log never decrease, and never lie ahead. Import into a store whose events are older.
    #[error(
        "this was recorded at {time}, outside of what may follow here ({after} to now): times never decrease from one event to \
         the next; import in the order of time, into a store whose events are older"
    )]
    Time {
        /// Which event.
        at: usize,
        /// Its time.
        time: Timestamp,
        /// The time of the event before it.
        after: Timestamp,
    },
    /// The store refused, for another reason.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl ImportError {
    /// Which event is the reason, from 0, if it is one.
    #[must_use]
    pub const fn at(&self) -> Option<usize> {
        match self {
            Self::Gap { at, .. } | Self::Taken { at, .. } | Self::Time { at, .. } => Some(*at),
            Self::Append(_) => None,
        }
    }
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}
