//! What a command is decided on, as everyone around a decision sees it.

use std::fmt;

use annalist_core::{Query, StreamId};

/// What a decision rests on: the stream of one aggregate, or everything that matches the query of a scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// The stream of an aggregate.
    Stream(StreamId),
    /// The query of a scope.
    Query(Query),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => write!(f, "stream `{stream}`"),
            Self::Query(query) => write!(f, "events of the query ({query})"),
        }
    }
}
