//! What can go wrong, one kind for each thing that a caller would do about it.

use crate::{
    append::{Expected, Key},
    position::{Cursor, Position, Version},
    query::Query,
    stream::StreamId,
};

/// Input that no store accepts. Change the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A name is empty.
    #[error("the {what} is empty; give it a name")]
    Empty {
        /// Which name.
        what: &'static str,
    },
    /// A name is too long.
    #[error("the {what} has {bytes} bytes; at most {bytes_max} are allowed")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// A name holds a control character (such as a zero byte or a line break).
    #[error("the {what} has a control character at byte {at}; remove it")]
    ControlCharacter {
        /// Which name.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// A name begins with `$`, which the store keeps for itself.
    #[error("the {what} `{value}` begins with `$`, which is reserved for the store; choose another name")]
    Reserved {
        /// Which name.
        what: &'static str,
        /// The name.
        value: String,
    },
    /// A stream's name begins with `-` and so has no category.
    #[error("the stream `{value}` has no category before its first `-`; write `category-identifier`")]
    NoCategory {
        /// The name.
        value: String,
    },
    /// A category is empty or contains `-`.
    #[error("`{value}` cannot be a category: it must not be empty nor contain `-`")]
    Category {
        /// The category.
        value: String,
    },
    /// Versions of event types begin at 1.
    #[error("the event type `{name}` has version 0; versions begin at 1")]
    EventVersionZero {
        /// The type's name.
        name: String,
    },
    /// An append without entries, conditions and key.
    #[error("the append is empty; add events, a guard, a condition or a key")]
    EmptyAppend,
    /// A query without items.
    #[error("the query has no item and would match nothing; add an item, or use `Query::all()`")]
    EmptyQuery,
    /// There is more of something than is allowed.
    #[error("there are {actual} {what}; at most {limit} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        actual: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Any other rule: of a store that is newer than this program, or of the protocol that it is reached by.
    #[error("{why}")]
    Other {
        /// Which rule is broken, and by what.
        why: String,
    },
}

/// Why an append was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A stream is not as expected. Nothing was written. Load what is new, decide again.
    #[error("conflict: stream `{stream}` is at version {actual}, expected {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the append expected.
        expected: Expected,
        /// Its last version; zero if it does not exist.
        actual: Version,
    },
    /// A condition does not hold: something that it forbids is in the log. Nothing was written. Load what is new, decide
    /// again.
    #[error("conflict: the event at position {first} matches condition {number} of the append ({query})")]
    ConditionFailed {
        /// Which condition, counted from 1 in the order of [`Append::conditions`](crate::Append::conditions).
        number: usize,
        /// Its query.
        query: Query,
        /// The first event behind the condition's cursor that matches.
        first: Position,
    },
    /// The key was recorded with another fingerprint. Nothing was written. Use another key for another request.
    #[error("the key `{key}` was used before for another request; use a new key")]
    KeyReused {
        /// The key.
        key: Key,
    },
    /// The append breaks a rule. Nothing was written. Change it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The append exceeds a limit. Nothing was written. Split it.
    #[error("too large: {actual} {what}, at most {limit} are allowed; split the append")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        actual: usize,
        /// How much there may be.
        limit: usize,
    },
    /// The store cannot take it now. Nothing was written. Try again later.
    #[error("the store takes no appends at present: {why}; try again later")]
    Unavailable {
        /// What is in the way.
        why: String,
    },
    /// Whether it was recorded is not known. Repeat it with the same key, once the store is open again.
    #[error("the outcome is unknown: {why}; reopen the store and repeat the append with the same key")]
    Unknown {
        /// What went wrong.
        why: String,
    },
    /// An earlier write failed and the store takes no more until it is reopened. Nothing was written.
    #[error("the store takes no appends since a write failed ({reason}); reopen it")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// What was opened takes no appends at all: it reads what another process records. Nothing was written. Append there.
    #[error("the store takes no appends here: {why}")]
    ReadOnly {
        /// Why.
        why: String,
    },
    /// The bytes read to answer are damaged; see [`StoreError::Corrupt`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppendError {
    /// Whether the same append may succeed if it is simply tried again. A conflict is not retryable in this sense: it
    /// must be decided again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Store(StoreError::Unavailable { .. }) => true,
            Self::Conflict { .. }
            | Self::ConditionFailed { .. }
            | Self::KeyReused { .. }
            | Self::Invalid(_)
            | Self::TooLarge { .. }
            | Self::Unknown { .. }
            | Self::Poisoned { .. }
            | Self::ReadOnly { .. }
            | Self::Store(
                StoreError::Invalid(_)
                | StoreError::ForeignCursor { .. }
                | StoreError::Corrupt { .. }
                | StoreError::Closed,
            ) => false,
        }
    }

    /// Whether what the append rested on has changed: load what is new and decide again.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::ConditionFailed { .. })
    }
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be read, or a store of views not be written, now. Try again later.
    #[error("the store is not available at present: {why}; try again later")]
    Unavailable {
        /// What is in the way.
        why: String,
    },
    /// What to read breaks a rule. Change it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The cursor belongs to another store, lies beyond the head, or has seen events that were lost when the store was restored
    /// from a backup. Rebuild the view that holds it; for a consumer of a broker, read the broker's last message and continue
    /// from there.
    #[error(
        "the cursor {cursor} does not belong to this log, whose head is {head}: another store, or one restored from a backup \
         that ends before what the cursor has seen; rebuild the view, or re-read the broker's last message"
    )]
    ForeignCursor {
        /// The cursor.
        cursor: Cursor,
        /// The head of the log.
        head: Cursor,
    },
    /// Stored bytes are damaged. No event is made of them. Restore from a backup, or rebuild the index if the detail
    /// says that the index is concerned.
    #[error("damaged data at position {position}: {detail}")]
    Corrupt {
        /// The first position concerned.
        position: Position,
        /// What is wrong.
        detail: String,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
