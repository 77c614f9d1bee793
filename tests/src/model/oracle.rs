//! What the rules say that the answer must be: a list of facts, and searching through it.

use std::collections::{BTreeMap, BTreeSet};

use annalist_core::{
    Append, AppendError, Appended, Condition, Cursor, Direction, Expected, Invalid, Key, NewEvent, Outcome, Position,
    Query, Read, RecordedEvent, Source, StoreError, StreamId, Timestamp, Version,
};

use super::{
    fact::Fact,
    known::Known,
    request::{Answer, Held, Request},
};

fn is_as_expected(expected: Expected, actual: Version) -> bool {
    match (expected, actual.get()) {
        (Expected::Any, _) | (Expected::NoStream, 0) | (Expected::StreamExists, 1..) => true,
        (Expected::NoStream | Expected::StreamExists, _) => false,
        (Expected::Exact(version), actual) => version.get() == actual,
    }
}

/// The events that an append adds, in order; if it has none but a key, the record that the store makes itself.
fn new_events(append: &Append) -> Vec<(StreamId, Option<NewEvent>)> {
    let mut new = Vec::new();
    for entry in &append.entries {
        new.extend(entry.events.iter().map(|event| (entry.stream.clone(), Some(event.clone()))));
    }
    if new.is_empty() && append.keyed.is_some() {
        new.push((StreamId::system(), None));
    }
    new
}

/// Everything that was recorded, in order.
#[derive(Clone)]
pub(crate) struct Oracle {
    origin: Cursor,
    facts: Vec<Fact>,
    outcomes: Vec<(Key, Outcome)>,
    /// When each event was recorded, once it was seen: the one thing that only the store can say.
    times: BTreeMap<Position, Timestamp>,
}

impl Known for Oracle {
    fn head(&self) -> Cursor {
        self.origin.at(Position::new(self.facts.len() as u64))
    }

    fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.facts.iter().filter(|fact| fact.stream == *stream).count() as u64)
    }

    fn time(&self, position: Position) -> Option<Timestamp> {
        self.times.get(&position).copied()
    }
}

impl Oracle {
    /// The oracle of an empty log.
    pub(crate) const fn new(origin: Cursor) -> Self {
        Self { origin, facts: Vec::new(), outcomes: Vec::new(), times: BTreeMap::new() }
    }

    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// What the answer must be, as things stand. Nothing is recorded by asking.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        match request {
            Request::Append(append) => Answer::Appended(self.verdict(append)),
            Request::Read(read) => Answer::Read(Ok((self.read(read), self.head()))),
            Request::Follow(query, after) => Answer::Followed(self.follow(query, *after)),
            Request::Outcome(key) => Answer::Outcome(Ok(self.outcome(key).cloned())),
            Request::Head => Answer::Head(Ok(self.head())),
            Request::Before(time) => {
                let before = self.times.iter().filter(|(_, recorded)| *recorded < time).map(|(position, _)| *position);
                Answer::Before(Ok(before.max().unwrap_or(Position::ZERO)))
            }
            Request::Statistics => Answer::Statistics(Ok(self.held())),
        }
    }

    /// What an append is answered.
    fn verdict(&self, append: &Append) -> Result<Appended, AppendError> {
        if append.entries.is_empty() && append.conditions.is_empty() && append.keyed.is_none() {
            return Err(Invalid::EmptyAppend.into());
        }
        if let Some(keyed) = &append.keyed
            && let Some(outcome) = self.outcome(&keyed.key)
        {
            let same = outcome.fingerprint == keyed.fingerprint;
            return if same {
                Ok(outcome.appended.clone())
            } else {
                Err(AppendError::KeyReused { key: keyed.key.clone() })
            };
        }
        let mut before = Append::new();
        for entry in &append.entries {
            let actual = self.version_within(&before, &entry.stream);
            if !is_as_expected(entry.expected, actual) {
                let (stream, expected) = (entry.stream.clone(), entry.expected);
                return Err(AppendError::Conflict { stream, expected, actual });
            }
            before.entries.push(entry.clone());
        }
        for (number, condition) in (1..).zip(&append.conditions) {
            self.uphold(number, condition)?;
        }
        Ok(self.places(append))
    }

    /// Whether nothing that a condition forbids is there.
    fn uphold(&self, number: usize, condition: &Condition) -> Result<(), AppendError> {
        self.check(condition.after)?;
        let behind = self.facts.iter().filter(|fact| fact.position > condition.after.position);
        match behind.filter(|fact| fact.is_found_by(&condition.query)).map(|fact| fact.position).min() {
            Some(first) => Err(AppendError::ConditionFailed { number, query: condition.query.clone(), first }),
            None => Ok(()),
        }
    }

    /// Whether a cursor belongs to this log.
    fn check(&self, cursor: Cursor) -> Result<(), StoreError> {
        let head = self.head();
        let of_this_log = cursor.at(Position::ZERO) == head.at(Position::ZERO) && cursor.position <= head.position;
        if cursor == Cursor::START || of_this_log { Ok(()) } else { Err(StoreError::ForeignCursor { cursor, head }) }
    }

    fn outcome(&self, key: &Key) -> Option<&Outcome> {
        self.outcomes.iter().find(|(known, _)| known == key).map(|(_, outcome)| outcome)
    }

    /// Where an append would stand that nothing speaks against.
    fn places(&self, append: &Append) -> Appended {
        let (after, new) = (self.head(), new_events(append));
        let mut streams: Vec<(StreamId, Version)> = Vec::new();
        for (stream, _) in &new {
            match streams.iter_mut().find(|(known, _)| known == stream) {
                Some((_, version)) => *version = version.next(),
                None => streams.push((stream.clone(), self.version(stream).next())),
            }
        }
        let last = Position::new(after.position.get() + new.len() as u64);
        Appended { after: after.position, cursor: after.at(last), streams, repeated: false }
    }

    /// Notes what was asked, if it is answered by recording something.
    pub(crate) fn note(&mut self, request: &Request, answer: &Answer) {
        let (Request::Append(append), Answer::Appended(Ok(appended))) = (request, answer) else { return };
        if appended.repeated {
            return;
        }
        for (stream, event) in new_events(append) {
            let (position, version) = (self.head().position.next(), self.version(&stream).next());
            self.facts.push(Fact { position, stream, version, event });
        }
        if let Some(keyed) = &append.keyed {
            let repeated = Appended { repeated: true, ..appended.clone() };
            let (fingerprint, reply) = (keyed.fingerprint, keyed.reply.clone());
            self.outcomes.push((keyed.key.clone(), Outcome { fingerprint, reply, appended: repeated }));
        }
    }

    /// Notes when an event was recorded: always the same, and never before the event at an earlier position.
    pub(crate) fn note_time(&mut self, event: &RecordedEvent) -> Result<(), String> {
        let known = *self.times.entry(event.position).or_insert(event.time);
        if known != event.time {
            return Err(format!("{event:?} was recorded at {known} when it was read before"));
        }
        let before = self.times.range(..event.position).next_back();
        let behind = self.times.range(event.position.next()..).next();
        if before.is_some_and(|(_, time)| *time > known) || behind.is_some_and(|(_, time)| *time < known) {
            return Err(format!("time goes backwards: {before:?}, {event:?}, {behind:?}"));
        }
        Ok(())
    }

    fn read(&self, read: &Read) -> Vec<Fact> {
        let forward = read.direction == Direction::Forward;
        let is_wanted = |fact: &&Fact| {
            let (number, bound) = match &read.source {
                Source::All { bound } => (fact.position.get(), bound.get()),
                Source::Stream { stream, bound } if fact.stream == *stream => (fact.version.get(), bound.get()),
                Source::Query { query, bound } if fact.is_found_by(query) => (fact.position.get(), bound.get()),
                _ => return false,
            };
            if forward { number > bound } else { number < bound }
        };
        let mut found: Vec<Fact> = self.facts.iter().filter(is_wanted).cloned().collect();
        if !forward {
            found.reverse();
        }
        found.truncate(usize::try_from(read.limit).unwrap_or(usize::MAX));
        found
    }

    fn follow(&self, query: &Query, after: Cursor) -> Result<(Vec<Fact>, Cursor), StoreError> {
        self.check(after)?;
        Ok((self.read(&Read::query(query.clone(), after.position)), self.head()))
    }

    fn held(&self) -> Held {
        let streams: BTreeSet<&StreamId> = self.facts.iter().map(|fact| &fact.stream).collect();
        Held {
            head: self.head(),
            streams: streams.len() as u64,
            event_bytes: self.facts.iter().map(Fact::body_bytes).sum(),
            index_is_within: true,
        }
    }
}
