//! What a history consists of.

use annalist_core::{
    Append, ContentType, EventId, EventType, Expected, Fingerprint, Key, Metadata, NewEvent, Position, Read, StreamId,
    Tag, Version,
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
};
use uuid::Uuid;

use super::oracle::{Oracle, Request};
use crate::conformance::Reopening;

/// How many streams the histories write to: few, so that they meet.
pub(super) const STREAMS: u8 = 5;
/// How many keys the histories use: few, so that they come again.
pub(super) const KEYS: u8 = 12;
/// Most operations in one history.
const OPERATIONS_MAX: usize = 50;
/// Beyond the middle of most histories, in positions or versions.
const PLACE_MAX: u64 = 60;

/// One step of a history, in terms that stay meaningful when others are left out.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Append { entries: Vec<Entry>, keyed: Option<(u8, u8)> },
    Read { stream: Option<u8>, backward: bool, bound: u64, limit: u64 },
    Follow { after: u64 },
    Outcome { key: u8 },
    Head,
    Reopen(Reopening),
}

/// What is added to one stream.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    stream: u8,
    expectation: Expectation,
    events: Vec<Event>,
}

/// What a stream is expected to look like.
#[derive(Clone, Copy, Debug)]
enum Expectation {
    Any,
    NoStream,
    StreamExists,
    /// Exactly the version that it has.
    Right,
    /// Exactly some version, probably another.
    Exactly(u64),
}

/// What an event looks like.
#[derive(Clone, Debug)]
struct Event {
    kind: u8,
    tags: u8,
    metadata_bytes: usize,
    payload_bytes: usize,
}

/// Draws histories.
pub(super) fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        12 => append(),
        6 => read(),
        2 => place().prop_map(|after| Operation::Follow { after }),
        2 => (0..KEYS).prop_map(|key| Operation::Outcome { key }),
        1 => Just(Operation::Head),
        1 => prop_oneof![Just(Reopening::AsItIs), Just(Reopening::WithoutIndex)].prop_map(Operation::Reopen),
    ];
    vec(operation, 1..=OPERATIONS_MAX)
}

fn append() -> impl Strategy<Value = Operation> {
    let fingerprint = prop_oneof![6 => Just(0_u8), 1 => Just(1)];
    let keyed = option::weighted(0.5, (0..KEYS, fingerprint));
    let entries = prop_oneof![8 => vec(entry(), 1..=1), 3 => vec(entry(), 2..=4), 1 => Just(Vec::new())];
    (entries, keyed).prop_map(|(entries, keyed)| Operation::Append { entries, keyed })
}

fn entry() -> impl Strategy<Value = Entry> {
    let expectation = prop_oneof![
        6 => Just(Expectation::Any),
        6 => Just(Expectation::Right),
        1 => Just(Expectation::NoStream),
        1 => Just(Expectation::StreamExists),
        1 => (0..6_u64).prop_map(Expectation::Exactly),
    ];
    let events = prop_oneof![1 => Just(Vec::new()), 8 => vec(event(), 1..=3), 1 => vec(event(), 4..=40)];
    (0..STREAMS, expectation, events).prop_map(|(stream, expectation, events)| Entry { stream, expectation, events })
}

fn event() -> impl Strategy<Value = Event> {
    // From nothing to more than a small page.
    let payload_bytes = prop_oneof![4 => 0..40_usize, 1 => 40..1500_usize];
    let metadata_bytes = prop_oneof![3 => Just(0_usize), 1 => 1..200_usize];
    (0..4_u8, 0..3_u8, metadata_bytes, payload_bytes).prop_map(|(kind, tags, metadata_bytes, payload_bytes)| Event {
        kind,
        tags,
        metadata_bytes,
        payload_bytes,
    })
}

fn read() -> impl Strategy<Value = Operation> {
    // One more than there are streams: the last is the store's own.
    let stream = option::weighted(0.7, 0..=STREAMS);
    let limit = prop_oneof![0..20_u64, Just(u64::MAX)];
    (stream, any::<bool>(), place(), limit).prop_map(|(stream, backward, bound, limit)| Operation::Read {
        stream,
        backward,
        bound,
        limit,
    })
}

fn place() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 6 => 0..PLACE_MAX, 1 => Just(u64::MAX)]
}

pub(super) fn stream(number: u8) -> StreamId {
    if number == STREAMS {
        return StreamId::system();
    }
    // Some names begin with others.
    StreamId::new(["a-1", "a-10", "a", "b-1", "ä-1"].get(usize::from(number)).copied().unwrap_or("z"))
        .expect("a valid name")
}

pub(super) fn key(number: u8) -> Key {
    Key::new(format!("scope {}", number % 3), format!("key {number}")).expect("a valid key")
}

impl Operation {
    /// What to ask for, as things stand. `step` makes what is written unlike everything before.
    pub(super) fn resolve(self, oracle: &Oracle, step: u64) -> Request {
        match self {
            Self::Append { entries, keyed } => {
                let mut append = Append::new();
                for entry in entries {
                    let stream = stream(entry.stream);
                    let actual = oracle.version_within(&append, &stream);
                    let expected = entry.expectation.resolve(actual);
                    let numbers = append.event_count() as u64..;
                    let events = numbers.zip(&entry.events).map(|(number, event)| event.resolve(step, number));
                    let events: Vec<_> = events.collect();
                    append = append.events(stream, expected, events);
                }
                if let Some((id, fingerprint)) = keyed {
                    append = append.keyed(key(id), Fingerprint::new([fingerprint; 16]), format!("reply of {step}"));
                }
                Request::Append(append)
            }
            Self::Read { stream: None, backward: false, bound, limit } => {
                Request::Read(Read::all(Position::new(bound)).limit(limit))
            }
            Self::Read { stream: None, backward: true, bound, limit } => {
                Request::Read(Read::all_backward(Position::new(bound)).limit(limit))
            }
            Self::Read { stream: Some(number), backward: false, bound, limit } => {
                Request::Read(Read::stream(stream(number), Version::new(bound)).limit(limit))
            }
            Self::Read { stream: Some(number), backward: true, bound, limit } => {
                Request::Read(Read::stream_backward(stream(number), Version::new(bound)).limit(limit))
            }
            Self::Follow { after } => Request::Follow(oracle.origin().at(Position::new(after))),
            Self::Outcome { key: number } => Request::Outcome(key(number)),
            Self::Head => Request::Head,
            Self::Reopen(how) => Request::Reopen(how),
        }
    }
}

impl Expectation {
    const fn resolve(self, actual: Version) -> Expected {
        match self {
            Self::Any => Expected::Any,
            Self::NoStream => Expected::NoStream,
            Self::StreamExists => Expected::StreamExists,
            Self::Right => Expected::Exact(actual),
            Self::Exactly(version) => Expected::Exact(Version::new(version)),
        }
    }
}

impl Event {
    fn resolve(&self, step: u64, number: u64) -> NewEvent {
        let id = EventId::new(Uuid::from_u64_pair(step, number));
        let event_type = EventType::versioned(format!("kind-{}", self.kind), u16::from(self.kind) + 1);
        let payload: Vec<u8> = format!("{step}/{number}/").bytes().cycle().take(self.payload_bytes).collect();
        let mut event = NewEvent::new(id, event_type.expect("a valid type"), payload);
        event.tags = (0..self.tags).map(|tag| Tag::new(format!("tag:{tag}")).expect("a valid tag")).collect();
        if self.metadata_bytes > 0 {
            let pairs = [("step".to_owned(), step.to_string())].into();
            event.metadata = Metadata { actor: Some("m".repeat(self.metadata_bytes)), pairs, ..Metadata::default() };
        }
        if self.kind == 3 {
            event.content_type = ContentType::BYTES;
        }
        event
    }
}
