//! Events of one category or of several, as those see them who follow the log.

use annalist_core::{EventId, EventType, NewEvent, Query, QueryItem, RecordedEvent, StreamId, Tag};
use bytes::Bytes;

use super::{DecodeError, EncodeError, EventSchema, EventSet, recorded_type};

/// The events that a projection follows, a saga reacts to, or a decision across streams rests on: an [`EventSet`], or several of them
/// united by `#[derive(Events)]`.
///
/// ```
/// # use annalist::{Event, Events};
/// # #[derive(Event, Clone, Debug, PartialEq)]
/// # #[event(category = "account")]
/// # enum AccountEvent { #[event(name = "account-opened")] Opened }
/// # #[derive(Event, Clone, Debug, PartialEq)]
/// # #[event(category = "transfer")]
/// # enum TransferEvent { #[event(name = "transfer-requested")] Requested { cents: u64 } }
/// #[derive(Events, Clone, Debug)]
/// enum BankEvent {
///     Account(AccountEvent),
///     Transfer(TransferEvent),
/// }
/// # assert_eq!(BankEvent::declared().len(), 2);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of events",
    note = "for the events of one category derive `Event`; to follow several categories derive `Events` for an enum of theirs"
)]
pub trait Events: Sized + Clone + Send + Sync + 'static {
    /// The names that are declared, category by category.
    fn declared() -> Vec<Declared>;

    /// Reads a recorded event; `None` if it is not one of these.
    ///
    /// # Errors
    /// [`DecodeError`] when it is one of these but cannot be read.
    fn read(record: &RecordedEvent) -> Result<Option<Self>, DecodeError>;

    /// The event as it is recorded.
    ///
    /// # Errors
    /// [`EncodeError`] when it has no valid bytes, tags or name.
    fn write(&self) -> Result<Written, EncodeError>;

    /// The stream that it stands in, of an event that knows it: [`InStream`](super::InStream).
    fn stream(&self) -> Option<&StreamId> {
        None
    }

    /// What matches exactly these events.
    #[must_use]
    fn query() -> Query {
        let item = |Declared { category, types, .. }: Declared| {
            QueryItem::new().category(category).types(types.iter().map(|(name, _)| *name))
        };
        Self::declared().into_iter().map(item).collect()
    }
}

/// What is declared of one category.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// The category.
    pub category: &'static str,
    /// The names of its events, with the current version of each.
    pub types: &'static [(&'static str, u16)],
    /// What their payloads look like, as far as it is described.
    pub schema: &'static [EventSchema],
}

impl Declared {
    /// Each event with what is known of it.
    pub fn events(self) -> impl Iterator<Item = EventSchema> {
        self.types.iter().map(move |&(name, version)| {
            let described = self.schema.iter().find(|schema| (schema.name, schema.version) == (name, version));
            described.copied().unwrap_or(EventSchema::unknown(name, version))
        })
    }
}

/// An event as it is recorded, but for its identity and metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// The category of the streams that it may be recorded in.
    pub category: &'static str,
    /// Its declared name and version.
    pub event_type: EventType,
    /// The marks by which it is found.
    pub tags: Vec<Tag>,
    /// Its payload.
    pub payload: Bytes,
}

impl Written {
    /// The event with its identity.
    #[must_use]
    pub fn with_id(self, id: EventId) -> NewEvent {
        NewEvent::new(id, self.event_type, self.payload).with_tags(self.tags)
    }
}

impl<E: EventSet> Events for E {
    fn declared() -> Vec<Declared> {
        vec![Declared { category: E::CATEGORY, types: E::TYPES, schema: E::SCHEMA }]
    }

    fn read(record: &RecordedEvent) -> Result<Option<Self>, DecodeError> {
        if record.category() != E::CATEGORY || !E::declares(record.type_name()) {
            return Ok(None);
        }
        E::decode(record.type_name(), record.type_version(), record.payload()).map(Some)
    }

    fn write(&self) -> Result<Written, EncodeError> {
        let (event_type, tags, payload) = (recorded_type(self)?, self.tags()?, self.encode()?);
        Ok(Written { category: E::CATEGORY, event_type, tags, payload })
    }
}
