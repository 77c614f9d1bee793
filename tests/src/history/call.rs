//! What is noted of a history.

use std::fmt;

use annalist_core::Cursor;

use crate::model::{
    fact::Fact,
    request::{Answer, Request},
};

/// One call of one client.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) client: u64,
    pub(super) request: Request,
    /// When it was asked. The clock counts what it is asked for by all clients, so that one call came after another for
    /// certain if it was asked at a later time than the other was answered.
    pub(super) asked: u64,
    /// When it was answered, and what; `None` if the client did not wait for it.
    pub(super) answered: Option<(u64, Answer)>,
}

impl Call {
    /// When it was over for certain.
    pub(super) fn over_by(&self) -> u64 {
        self.answered.as_ref().map_or(u64::MAX, |(answered, _)| *answered)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, request, asked, answered } = self;
        match answered {
            Some((answered, answer)) => {
                write!(f, "client {client}, {asked} to {answered}: {request:?}\n    was answered {answer:?}")
            }
            None => write!(f, "client {client}, from {asked}: {request:?}\n    was abandoned"),
        }
    }
}

/// What many clients asked and were answered, and the log that they left.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The head of the store when it was empty.
    pub(super) origin: Cursor,
    pub(super) calls: Vec<Call>,
    /// The whole log, read when all was over.
    pub(super) log: Vec<Fact>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls: Vec<&Call> = self.calls.iter().collect();
        calls.sort_by_key(|call| call.asked);
        calls.into_iter().try_for_each(|call| writeln!(f, "  {call}"))
    }
}
