//! What a history consists of.

use annalist_core::{Append, Fingerprint, Position, Query, Read, Timestamp, Version};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
};

use super::{
    known::Known,
    names::{self, KEYS, STREAMS},
    parts::{Condition, Entry, Place, condition, cursor, entry, place},
    request::Request,
};
use crate::conformance::Reopening;

/// Most operations in one history.
const OPERATIONS_MAX: usize = 50;

/// One step of a history.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Ask(Question),
    Reopen(Reopening),
}

/// Something to ask, in terms that stay meaningful when others are left out.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Append { entries: Vec<Entry>, conditions: Vec<Condition>, keyed: Option<(u8, u8)> },
    Read { source: Source, backward: bool, bound: Place, limit: u64 },
    Follow { query: Query, after: Option<Place> },
    Outcome { key: u8 },
    Head,
    Before { event: Place, offset: i64 },
    Statistics,
}

/// Which events to read.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Log,
    Stream(u8),
    Query(Query),
}

/// Draws histories.
pub(super) fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let question = prop_oneof![
        24 => append(),
        12 => read(),
        4 => follow(),
        4 => outcome(),
        2 => Just(Question::Head),
        2 => (place(), -1..=1_i64).prop_map(|(event, offset)| Question::Before { event, offset }),
        2 => Just(Question::Statistics),
    ];
    let reopening = prop_oneof![Just(Reopening::AsItIs), Just(Reopening::WithoutIndex)];
    let operation = prop_oneof![
        24 => question.prop_map(Operation::Ask),
        1 => reopening.prop_map(Operation::Reopen),
    ];
    vec(operation, 1..=OPERATIONS_MAX)
}

pub(crate) fn append() -> impl Strategy<Value = Question> {
    let fingerprint = prop_oneof![6 => Just(0_u8), 1 => Just(1)];
    let keyed = option::weighted(0.5, (0..KEYS, fingerprint));
    let entries = prop_oneof![8 => vec(entry(), 1..=1), 3 => vec(entry(), 2..=4), 1 => Just(Vec::new())];
    let conditions = prop_oneof![5 => Just(Vec::new()), 4 => vec(condition(), 1..=1), 1 => vec(condition(), 2..=3)];
    (entries, conditions, keyed).prop_map(|(entries, conditions, keyed)| Question::Append {
        entries,
        conditions,
        keyed,
    })
}

pub(crate) fn read() -> impl Strategy<Value = Question> {
    // One more than there are streams to write to: the last is the store's own.
    let source = prop_oneof![
        2 => Just(Source::Log),
        4 => (0..=STREAMS).prop_map(Source::Stream),
        8 => names::query().prop_map(Source::Query),
    ];
    let limit = prop_oneof![0..20_u64, Just(u64::MAX)];
    (source, any::<bool>(), place(), limit).prop_map(|(source, backward, bound, limit)| Question::Read {
        source,
        backward,
        bound,
        limit,
    })
}

pub(crate) fn follow() -> impl Strategy<Value = Question> {
    let query = prop_oneof![1 => Just(Query::all()), 4 => names::query()];
    (query, option::weighted(0.8, place())).prop_map(|(query, after)| Question::Follow { query, after })
}

pub(crate) fn outcome() -> impl Strategy<Value = Question> {
    (0..KEYS).prop_map(|key| Question::Outcome { key })
}

impl Question {
    /// What to ask for, as things stand. `step` makes what is written unlike everything before.
    pub(crate) fn resolve(&self, known: &dyn Known, step: u64) -> Request {
        match self {
            Self::Append { entries, conditions, keyed } => {
                let append = entries.iter().fold(Append::new(), |append, entry| entry.add_to(append, known, step));
                let append = conditions.iter().fold(append, |append, condition| condition.add_to(append, known));
                Request::Append(match keyed {
                    Some((id, fingerprint)) => {
                        let fingerprint = Fingerprint::new([*fingerprint; 16]);
                        append.keyed(names::key(*id), fingerprint, format!("reply of {step}"))
                    }
                    None => append,
                })
            }
            Self::Read { source, backward, bound, limit } => {
                Request::Read(source.resolve(*backward, *bound, known).limit(*limit))
            }
            Self::Follow { query, after } => Request::Follow(query.clone(), cursor(*after, known)),
            Self::Outcome { key } => Request::Outcome(names::key(*key)),
            Self::Head => Request::Head,
            Self::Before { event, offset } => {
                let position = Position::new(event.resolve(known.head().position.get()));
                let extreme = if position == Position::ZERO { i64::MIN } else { i64::MAX };
                let time = known.time(position).map_or(extreme, |time| time.as_micros() + offset);
                Request::Before(Timestamp::from_micros(time))
            }
            Self::Statistics => Request::Statistics,
        }
    }
}

impl Source {
    fn resolve(&self, backward: bool, bound: Place, known: &dyn Known) -> Read {
        let position = Position::new(bound.resolve(known.head().position.get()));
        match (self, backward) {
            (Self::Log, false) => Read::all(position),
            (Self::Log, true) => Read::all_backward(position),
            (Self::Stream(number), _) => {
                let stream = names::stream(*number);
                let version = Version::new(bound.resolve(known.version(&stream).get()));
                if backward { Read::stream_backward(stream, version) } else { Read::stream(stream, version) }
            }
            (Self::Query(query), false) => Read::query(query.clone(), position),
            (Self::Query(query), true) => Read::query_backward(query.clone(), position),
        }
    }
}
