//! What the rules say that the answer must be: a list of facts, and searching through it.

use annalist_core::{
    Append, AppendError, Appended, ContentType, Cursor, Direction, EventType, Expected, Invalid, Key, NewEvent,
    Outcome, Position, Read, RecordedEvent, Source, StoreError, StreamId, Tag, Version,
};

use crate::conformance::Reopening;

/// What is asked of both.
#[derive(Debug)]
pub(super) enum Request {
    Append(Append),
    Read(Read),
    Follow(Cursor),
    Outcome(Key),
    Head,
    Reopen(Reopening),
}

/// What is answered, without the times.
#[derive(PartialEq, Debug)]
pub(super) enum Answer {
    Appended(Result<Appended, AppendError>),
    Read(Result<Vec<Fact>, StoreError>),
    Followed(Result<(Vec<Fact>, Cursor), StoreError>),
    Outcome(Result<Option<Outcome>, StoreError>),
    Head(Result<Cursor, StoreError>),
    Reopened,
}

/// One recorded event, without its time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Fact {
    position: Position,
    stream: StreamId,
    version: Version,
    /// What was handed in; `None` for a record that the store made itself.
    event: Option<NewEvent>,
}

impl From<&RecordedEvent> for Fact {
    fn from(recorded: &RecordedEvent) -> Self {
        let event = NewEvent {
            id: recorded.id,
            // A type that cannot be given is the store's own.
            event_type: EventType::versioned(recorded.type_name().to_owned(), recorded.type_version())
                .unwrap_or(EventType::system()),
            content_type: ContentType::new(recorded.content_type().to_owned()).expect("a recorded content type"),
            tags: recorded.tags().map(|tag| Tag::new(tag).expect("a recorded tag")).collect(),
            metadata: recorded.metadata(),
            payload: recorded.payload_bytes(),
        };
        let bare = NewEvent::new(recorded.id, EventType::system(), "").with_content_type(ContentType::BYTES);
        Self {
            position: recorded.position,
            stream: recorded.stream_id(),
            version: recorded.version,
            event: (event != bare).then_some(event),
        }
    }
}

fn is_as_expected(expected: Expected, actual: Version) -> bool {
    match (expected, actual.get()) {
        (Expected::Any, _) | (Expected::NoStream, 0) | (Expected::StreamExists, 1..) => true,
        (Expected::NoStream | Expected::StreamExists, _) => false,
        (Expected::Exact(version), actual) => version.get() == actual,
    }
}

/// Everything that was recorded, in order.
pub(super) struct Oracle {
    origin: Cursor,
    facts: Vec<Fact>,
    outcomes: Vec<(Key, Outcome)>,
}

impl Oracle {
    pub(super) const fn new(origin: Cursor) -> Self {
        Self { origin, facts: Vec::new(), outcomes: Vec::new() }
    }

    pub(super) const fn origin(&self) -> Cursor {
        self.origin
    }

    fn head(&self) -> Cursor {
        self.origin.at(Position::new(self.facts.len() as u64))
    }

    /// The version of a stream behind the entries that an append has so far.
    pub(super) fn version_within(&self, append: &Append, stream: &StreamId) -> Version {
        let recorded = self.facts.iter().filter(|fact| fact.stream == *stream).count();
        let entries = append.entries.iter().filter(|entry| entry.stream == *stream);
        let new: usize = entries.map(|entry| entry.events.len()).sum();
        Version::new((recorded + new) as u64)
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        match request {
            Request::Append(append) => Answer::Appended(self.append(append)),
            Request::Read(read) => Answer::Read(Ok(self.read(read))),
            Request::Follow(after) => Answer::Followed(self.follow(*after)),
            Request::Outcome(key) => Answer::Outcome(Ok(self.outcome(key).cloned())),
            Request::Head => Answer::Head(Ok(self.head())),
            Request::Reopen(_) => Answer::Reopened,
        }
    }

    fn outcome(&self, key: &Key) -> Option<&Outcome> {
        self.outcomes.iter().find(|(known, _)| known == key).map(|(_, outcome)| outcome)
    }

    fn append(&mut self, append: &Append) -> Result<Appended, AppendError> {
        if append.entries.is_empty() && append.keyed.is_none() {
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
        Ok(self.record(append))
    }

    fn record(&mut self, append: &Append) -> Appended {
        let after = self.head().position;
        let mut new: Vec<(StreamId, Option<NewEvent>)> = Vec::new();
        for entry in &append.entries {
            new.extend(entry.events.iter().map(|event| (entry.stream.clone(), Some(event.clone()))));
        }
        if new.is_empty() && append.keyed.is_some() {
            new.push((StreamId::system(), None));
        }
        let mut streams: Vec<StreamId> = Vec::new();
        for (stream, event) in new {
            let version = self.version_within(&Append::new(), &stream).next();
            if !streams.contains(&stream) {
                streams.push(stream.clone());
            }
            self.facts.push(Fact { position: self.head().position.next(), stream, version, event });
        }
        let last = |stream: StreamId| {
            let version = self.version_within(&Append::new(), &stream);
            (stream, version)
        };
        let streams = streams.into_iter().map(last).collect();
        let appended = Appended { after, cursor: self.head(), streams, repeated: false };
        if let Some(keyed) = &append.keyed {
            let repeated = Appended { repeated: true, ..appended.clone() };
            let (fingerprint, reply) = (keyed.fingerprint, keyed.reply.clone());
            self.outcomes.push((keyed.key.clone(), Outcome { fingerprint, reply, appended: repeated }));
        }
        appended
    }

    fn read(&self, read: &Read) -> Vec<Fact> {
        let forward = read.direction == Direction::Forward;
        let is_wanted = |fact: &&Fact| {
            let (number, bound) = match &read.source {
                Source::All { bound } => (fact.position.get(), bound.get()),
                Source::Stream { stream, bound } if fact.stream == *stream => (fact.version.get(), bound.get()),
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

    /// A new subscription, up to its first edge.
    fn follow(&self, after: Cursor) -> Result<(Vec<Fact>, Cursor), StoreError> {
        let head = self.head();
        if after.position > head.position {
            return Err(StoreError::ForeignCursor { cursor: after, head });
        }
        Ok((self.read(&Read::all(after.position)), head))
    }
}
