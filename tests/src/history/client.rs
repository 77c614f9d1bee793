//! A client among others: it knows what it has been told, and notes what it asks and is answered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use annalist_core::{Append, AppendError, Appended, Cursor, Position, Query, Read, StreamId, Timestamp, Version};

use super::{
    call::Call,
    script::{Pauses, Script, Step},
};
use crate::{
    conformance::Store,
    model::{
        fact::Fact,
        known::Known,
        operation::Question,
        parts::Entry,
        request::{Answer, Request},
        system,
    },
};

/// How often a client decides at most before it gives up.
const DECISIONS_MAX: usize = 4;
/// More calls than any client makes: what its events are numbered with.
const CALLS_MAX: u64 = 1_000_000;

/// A client, and the calls that it has made.
pub(super) struct Client {
    number: u64,
    store: Store,
    clock: Arc<AtomicU64>,
    knowledge: Knowledge,
    /// How many turns of others there are between the beginning of a call and its reaching the store.
    hesitation: usize,
    calls: Vec<Call>,
}

impl Client {
    pub(super) const fn new(number: u64, store: Store, origin: Cursor, clock: Arc<AtomicU64>) -> Self {
        let knowledge = Knowledge { head: origin, versions: BTreeMap::new() };
        Self { number, store, clock, knowledge, hesitation: 0, calls: Vec::new() }
    }

    pub(super) fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    /// From now on it asks another handle, of the same log.
    pub(super) fn turn_to(&mut self, store: Store) {
        self.store = store;
    }

    pub(super) async fn perform(&mut self, script: Script) {
        for (step, Pauses { rest, hesitation }) in script {
            turns(rest).await;
            self.hesitation = hesitation;
            match step {
                Step::Ask(question) => {
                    self.ask(self.resolve(&question)).await;
                }
                Step::Abandon(append, patience) => self.abandon(&append, patience).await,
                Step::Decide(query, entry) => self.decide(&query, &entry).await,
            }
        }
    }

    /// What to ask for. Each call writes other events than all others, so that one can tell from the log whose it is.
    fn resolve(&self, question: &Question) -> Request {
        question.resolve(&self.knowledge, self.next_call())
    }

    fn next_call(&self) -> u64 {
        self.number * CALLS_MAX + self.calls.len() as u64
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// The answer, and when it came.
    async fn call(&self, request: &Request) -> (Answer, u64) {
        turns(self.hesitation).await;
        let (answer, _) = system::ask(&self.store, request).await;
        (answer, self.tick())
    }

    pub(super) async fn ask(&mut self, request: Request) -> Answer {
        let asked = self.tick();
        let (answer, answered) = self.call(&request).await;
        let answered = Some((answered, answer.clone()));
        self.calls.push(Call { client: self.number, request, asked, answered });
        self.knowledge.learn(&answer);
        answer
    }

    async fn abandon(&mut self, question: &Question, patience: usize) {
        let request = self.resolve(question);
        let Request::Append(append) = &request else { return };
        let has_key = append.keyed.is_some();
        if append.event_count() == 0 {
            // One could not tell from the log whether it was recorded.
            self.ask(request).await;
            return;
        }
        let asked = self.tick();
        let answered = tokio::select! {
            biased;
            (answer, answered) = self.call(&request) => Some((answered, answer)),
            () = turns(patience) => None,
        };
        let is_abandoned = answered.is_none();
        self.calls.push(Call { client: self.number, request, asked, answered });
        if is_abandoned && has_key {
            self.ask(self.resolve(question)).await;
        }
    }

    async fn decide(&mut self, query: &Query, entry: &Entry) {
        for _ in 0..DECISIONS_MAX {
            let read = Read::query(query.clone(), Position::ZERO);
            let Answer::Read(Ok((_, head))) = self.ask(Request::Read(read)).await else { return };
            let append = entry.add_to(Append::new(), &self.knowledge, self.next_call());
            let answer = self.ask(Request::Append(append.unless(query.clone(), head))).await;
            let Answer::Appended(Err(AppendError::ConditionFailed { .. })) = answer else { return };
        }
    }
}

/// Lets others run this many times.
async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// What a client has been told of the log: it may be out of date.
struct Knowledge {
    head: Cursor,
    versions: BTreeMap<StreamId, Version>,
}

impl Known for Knowledge {
    fn head(&self) -> Cursor {
        self.head
    }

    fn version(&self, stream: &StreamId) -> Version {
        self.versions.get(stream).copied().unwrap_or_default()
    }

    fn time(&self, _: Position) -> Option<Timestamp> {
        None
    }
}

impl Knowledge {
    fn learn(&mut self, answer: &Answer) {
        match answer {
            Answer::Appended(Ok(Appended { cursor, streams, .. })) => {
                self.learn_head(*cursor);
                for (stream, version) in streams {
                    self.learn_version(stream, *version);
                }
            }
            Answer::Appended(Err(AppendError::Conflict { stream, actual, .. })) => self.learn_version(stream, *actual),
            Answer::Read(Ok((facts, head))) | Answer::Followed(Ok((facts, head))) => {
                self.learn_head(*head);
                for Fact { stream, version, .. } in facts {
                    self.learn_version(stream, *version);
                }
            }
            Answer::Head(Ok(head)) => self.learn_head(*head),
            _ => {}
        }
    }

    fn learn_head(&mut self, head: Cursor) {
        if head.position > self.head.position {
            self.head = head;
        }
    }

    fn learn_version(&mut self, stream: &StreamId, version: Version) {
        let known = self.versions.entry(stream.clone()).or_default();
        *known = version.max(*known);
    }
}
