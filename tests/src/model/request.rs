//! What is asked of the store and of the oracle, and what both answer.

use annalist_core::{
    Append, AppendError, Appended, Cursor, Key, Outcome, Position, Query, Read, StoreError, Timestamp,
};

use super::fact::Fact;

/// What is asked of both.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Append(Append),
    Read(Read),
    /// A new subscription, up to its first edge.
    Follow(Query, Cursor),
    Outcome(Key),
    Head,
    Before(Timestamp),
    Statistics,
}

/// What is answered, without the times.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    Appended(Result<Appended, AppendError>),
    /// What was found, and the head of the log when the read began.
    Read(Result<(Vec<Fact>, Cursor), StoreError>),
    /// What was delivered, and the edge.
    Followed(Result<(Vec<Fact>, Cursor), StoreError>),
    Outcome(Result<Option<Outcome>, StoreError>),
    Head(Result<Cursor, StoreError>),
    Before(Result<Position, StoreError>),
    Statistics(Result<Held, StoreError>),
}

/// What the port defines of statistics: the rest is the store's own affair.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Held {
    pub(crate) head: Cursor,
    pub(crate) streams: u64,
    pub(crate) event_bytes: u64,
    /// Whether the index covers nothing that is not in the log.
    pub(crate) index_is_within: bool,
}
