//! What to read, in which direction.

use crate::{
    position::{Position, Version},
    query::Query,
    stream::StreamId,
};

/// In which order events come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// Which events.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Source {
    /// Every event of the log.
    All {
        /// Exclusive: where a forward read begins after, where a backward read begins before.
        bound: Position,
    },
    /// The events of one stream.
    Stream {
        /// The stream.
        stream: StreamId,
        /// Exclusive: where a forward read begins after, where a backward read begins before.
        bound: Version,
    },
    /// The events that match a query.
    Query {
        /// Which events.
        query: Query,
        /// Exclusive: where a forward read begins after, where a backward read begins before.
        bound: Position,
    },
}

/// A finite read. It sees the log as it is when the read begins; later events are not part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Read {
    /// Which events, and from where.
    pub source: Source,
    /// In which order.
    pub direction: Direction,
    /// At most this many.
    pub limit: u64,
}

impl Read {
    /// All events behind `after`, oldest first. [`Position::ZERO`] begins at the beginning.
    #[must_use]
    pub const fn all(after: Position) -> Self {
        Self { source: Source::All { bound: after }, direction: Direction::Forward, limit: u64::MAX }
    }

    /// All events before `before`, newest first. [`Position::MAX`] begins at the end.
    #[must_use]
    pub const fn all_backward(before: Position) -> Self {
        Self { source: Source::All { bound: before }, direction: Direction::Backward, limit: u64::MAX }
    }

    /// The events of a stream behind version `after`, oldest first. [`Version::ZERO`] begins at the beginning.
    #[must_use]
    pub const fn stream(stream: StreamId, after: Version) -> Self {
        Self { source: Source::Stream { stream, bound: after }, direction: Direction::Forward, limit: u64::MAX }
    }

    /// The events of a stream before version `before`, newest first. [`Version::MAX`] begins at the end.
    #[must_use]
    pub const fn stream_backward(stream: StreamId, before: Version) -> Self {
        Self { source: Source::Stream { stream, bound: before }, direction: Direction::Backward, limit: u64::MAX }
    }

    /// The events that match a query behind `after`, oldest first. [`Position::ZERO`] begins at the beginning.
    #[must_use]
    pub fn query(query: impl Into<Query>, after: Position) -> Self {
        let source = Source::Query { query: query.into(), bound: after };
        Self { source, direction: Direction::Forward, limit: u64::MAX }
    }

    /// The events that match a query before `before`, newest first. [`Position::MAX`] begins at the end.
    #[must_use]
    pub fn query_backward(query: impl Into<Query>, before: Position) -> Self {
        let source = Source::Query { query: query.into(), bound: before };
        Self { source, direction: Direction::Backward, limit: u64::MAX }
    }

    /// The same read, of at most `limit` events.
    #[must_use]
    pub const fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }
}
