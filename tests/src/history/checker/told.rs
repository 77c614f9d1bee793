//! A true history, and how to spoil it.

use annalist_core::{
    Append, AppendError, Appended, Cursor, Epoch, EventId, EventType, Expected, Fingerprint, NewEvent, Position, Query,
    Read, StoreId, StreamId, Version,
};
use uuid::Uuid;

use super::prove;
use crate::{
    history::call::{Call, History},
    model::{
        fact::Fact,
        names::{key, tag},
        oracle::Oracle,
        request::{Answer, Request},
    },
};

/// How far apart the calls of the true history begin; each is over after half of it.
const APART: u64 = 10;

const ORIGIN: Cursor =
    Cursor { store: StoreId::new(Uuid::from_u128(7)), epoch: Epoch::FIRST, position: Position::ZERO };

pub(super) fn seen(position: u64) -> Cursor {
    ORIGIN.at(Position::new(position))
}

pub(super) fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub(super) fn event(number: u64) -> NewEvent {
    let id = EventId::new(Uuid::from_u64_pair(1, number));
    NewEvent::new(id, EventType::new("kind").unwrap(), number.to_string())
}

pub(super) fn tagged(number: u64) -> NewEvent {
    event(number).with_tags([tag("t")])
}

fn by_tag() -> Query {
    Query::tags([tag("t")])
}

fn keyed(append: Append, fingerprint: u8) -> Append {
    append.keyed(key(0), Fingerprint::new([fingerprint; 16]), "reply")
}

pub(super) fn exactly(version: u64) -> Expected {
    Expected::Exact(Version::new(version))
}

// The calls of the true history, by what they do.
pub(super) const ONE: usize = 0;
pub(super) const TWO: usize = 1;
pub(super) const READ: usize = 2;
pub(super) const DECIDED: usize = 3;
pub(super) const REPEATED: usize = 4;
pub(super) const CONFLICT: usize = 5;
pub(super) const FORBIDDEN: usize = 6;
pub(super) const REUSED: usize = 7;
pub(super) const GUARD: usize = 8;
pub(super) const OUTCOME: usize = 9;
pub(super) const LAST: usize = 10;

/// A history in which one call follows another, answered by the oracle.
fn told() -> History {
    let to = |name: &str, expected, events: &[NewEvent]| Append::new().events(stream(name), expected, events.to_vec());
    let requests = [
        Request::Append(to("a-1", Expected::Any, &[tagged(1)])),
        Request::Append(to("b-1", exactly(0), &[event(2), event(3)])),
        Request::Read(Read::query(by_tag(), Position::ZERO)),
        Request::Append(keyed(to("a-1", exactly(1), &[tagged(4)]).unless(by_tag(), seen(3)), 1)),
        Request::Append(keyed(to("a-1", exactly(1), &[tagged(5)]).unless(by_tag(), seen(3)), 1)),
        Request::Append(to("a-1", Expected::NoStream, &[event(6)])),
        Request::Append(to("c-1", Expected::Any, &[event(7)]).unless(by_tag(), seen(1))),
        Request::Append(keyed(to("c-1", Expected::Any, &[event(8)]), 2)),
        Request::Append(Append::new().guard(stream("a-1"), exactly(2))),
        Request::Outcome(key(0)),
        Request::Append(to("a-1", Expected::Any, &[event(9)])),
    ];
    let (mut oracle, mut calls) = (Oracle::new(ORIGIN), Vec::new());
    for (client, request) in (0..).zip(requests) {
        let (answer, asked) = (oracle.answer(&request), APART * (client + 1));
        oracle.note(&request, &answer);
        calls.push(Call { client, request, asked, answered: Some((asked + APART / 2, answer)) });
    }
    History { origin: ORIGIN, calls, log: oracle.facts().to_vec() }
}

impl History {
    pub(super) fn answer(&mut self, call: usize) -> &mut Answer {
        &mut self.calls[call].answered.as_mut().unwrap().1
    }

    pub(super) fn appended(&mut self, call: usize) -> &mut Appended {
        match self.answer(call) {
            Answer::Appended(Ok(appended)) => appended,
            other => panic!("call {call} is an append that is accepted: {other:?}"),
        }
    }

    pub(super) fn found(&mut self, call: usize) -> &mut (Vec<Fact>, Cursor) {
        match self.answer(call) {
            Answer::Read(Ok(found)) => found,
            other => panic!("call {call} is a read: {other:?}"),
        }
    }

    pub(super) fn refuse(&mut self, call: usize, error: AppendError) {
        *self.answer(call) = Answer::Appended(Err(error));
    }

    pub(super) fn append(&mut self, call: usize) -> &mut Append {
        match &mut self.calls[call].request {
            Request::Append(append) => append,
            other => panic!("call {call} is an append: {other:?}"),
        }
    }

    pub(super) fn take_place(&mut self, call: usize, asked: u64, answered: u64) {
        self.calls[call].asked = asked;
        self.calls[call].answered.as_mut().unwrap().0 = answered;
    }
}

/// Spoils the true history, and requires an objection with these words.
#[track_caller]
pub(super) fn objects(words: &str, spoil: impl FnOnce(&mut History)) {
    let mut history = told();
    spoil(&mut history);
    let objection = prove(&history).expect_err("what was spoiled is objected to");
    assert!(objection.contains(words), "the objection is another: {objection}");
}

#[track_caller]
pub(super) fn accepts(change: impl FnOnce(&mut History)) {
    let mut history = told();
    change(&mut history);
    assert_eq!(prove(&history), Ok(()));
}

pub(super) fn conflict(actual: u64) -> AppendError {
    let (stream, expected, actual) = (stream("a-1"), Expected::NoStream, Version::new(actual));
    AppendError::Conflict { stream, expected, actual }
}

pub(super) fn failed(number: usize, first: u64) -> AppendError {
    AppendError::ConditionFailed { number, query: by_tag(), first: Position::new(first) }
}
