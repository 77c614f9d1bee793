//! What appends consist of: entries, events and conditions.

use annalist_core::{
    Append, ContentType, Cursor, EventId, EventType, Expected, Metadata, NewEvent, Position, Query, Version,
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, prop_oneof},
};
use uuid::Uuid;

use super::{
    known::Known,
    names::{self, STREAMS, TAGS, TYPES},
};

/// Beyond the middle of most histories, in positions or versions.
const PLACE_MAX: u64 = 60;
/// About the events of a few appends.
const PLACE_BACK_MAX: u64 = 12;

/// A place in the log or in a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    At(u64),
    /// So many before the last.
    Back(u64),
    /// Beyond whatever there is.
    Beyond,
}

impl Place {
    pub(crate) const fn resolve(self, last: u64) -> u64 {
        match self {
            Self::At(place) => place,
            Self::Back(count) => last.saturating_sub(count),
            Self::Beyond => u64::MAX,
        }
    }
}

pub(crate) fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        1 => Just(Place::At(0)),
        6 => (0..PLACE_MAX).prop_map(Place::At),
        3 => (0..PLACE_BACK_MAX).prop_map(Place::Back),
        1 => Just(Place::Beyond),
    ]
}

/// What is added to one stream.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
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
    /// Exactly the version that it is known to have.
    Right,
    /// Exactly some version, probably another.
    Exactly(u64),
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
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

impl Entry {
    /// The same append with this entry. `step` makes what is written unlike everything before.
    pub(crate) fn add_to(&self, append: Append, known: &dyn Known, step: u64) -> Append {
        let stream = names::stream(self.stream);
        let expected = match self.expectation {
            Expectation::Any => Expected::Any,
            Expectation::NoStream => Expected::NoStream,
            Expectation::StreamExists => Expected::StreamExists,
            Expectation::Right => Expected::Exact(known.version_within(&append, &stream)),
            Expectation::Exactly(version) => Expected::Exact(Version::new(version)),
        };
        let numbers = append.event_count() as u64..;
        let events: Vec<NewEvent> =
            numbers.zip(&self.events).map(|(number, event)| event.resolve(step, number)).collect();
        append.events(stream, expected, events)
    }
}

/// What an event looks like.
#[derive(Clone, Debug)]
struct Event {
    kind: usize,
    version: u16,
    tags: Vec<usize>,
    metadata_bytes: usize,
    payload_bytes: usize,
}

fn event() -> impl Strategy<Value = Event> {
    // A tag may be given twice.
    let tags = vec(0..TAGS.len(), 0..=3);
    // From nothing to more than a small page.
    let payload_bytes = prop_oneof![4 => 0..40_usize, 1 => 40..1500_usize];
    let metadata_bytes = prop_oneof![3 => Just(0_usize), 1 => 1..200_usize];
    (0..TYPES.len(), 1..=2_u16, tags, metadata_bytes, payload_bytes).prop_map(
        |(kind, version, tags, metadata_bytes, payload_bytes)| Event {
            kind,
            version,
            tags,
            metadata_bytes,
            payload_bytes,
        },
    )
}

impl Event {
    fn resolve(&self, step: u64, number: u64) -> NewEvent {
        let id = EventId::new(Uuid::from_u64_pair(step, number));
        let name = TYPES.get(self.kind).copied().unwrap_or("kind");
        let event_type = EventType::versioned(name, self.version).expect("a valid type");
        let payload: Vec<u8> = format!("{step}/{number}/").bytes().cycle().take(self.payload_bytes).collect();
        let mut event = NewEvent::new(id, event_type, payload);
        event.tags = self.tags.iter().filter_map(|tag| TAGS.get(*tag)).map(|name| names::tag(name)).collect();
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

/// What must not be in the log.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    query: Query,
    /// Behind which place; `None`: nowhere at all.
    after: Option<Place>,
}

pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    let after = prop_oneof![
        2 => Just(Place::Back(0)),
        4 => (0..PLACE_BACK_MAX).prop_map(Place::Back),
        // May be a position that does not exist, which is refused.
        1 => (0..PLACE_MAX).prop_map(Place::At),
    ];
    (names::query(), option::weighted(0.7, after)).prop_map(|(query, after)| Condition { query, after })
}

impl Condition {
    /// The same append under this condition.
    pub(crate) fn add_to(&self, append: Append, known: &dyn Known) -> Append {
        append.unless(self.query.clone(), cursor(self.after, known))
    }
}

/// A place as a cursor; without one, [`Cursor::START`].
pub(crate) fn cursor(place: Option<Place>, known: &dyn Known) -> Cursor {
    let head = known.head();
    place.map_or(Cursor::START, |place| head.at(Position::new(place.resolve(head.position.get()))))
}
