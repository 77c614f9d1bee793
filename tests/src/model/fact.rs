//! One recorded event, and whether a query finds it.

use annalist_core::{
    ContentType, EventType, NewEvent, Position, Query, QueryItem, RecordedEvent, StreamId, Tag, Version, Within,
    body_len,
};

/// One recorded event, without its time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fact {
    pub(crate) position: Position,
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    /// What was handed in; `None` for a record that the store made itself.
    pub(crate) event: Option<NewEvent>,
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

impl Fact {
    /// Whether a query finds it: what `docs/glossary.md` and the words of [`QueryItem`] say, told once more here, so that
    /// a mistake in the vocabulary's own evaluation is not a rule.
    pub(crate) fn is_found_by(&self, query: &Query) -> bool {
        query.items.iter().any(|item| self.has_what_is_asked(item))
    }

    fn has_what_is_asked(&self, item: &QueryItem) -> bool {
        let (type_name, tags) = match &self.event {
            Some(event) => (event.event_type.name(), event.tags.as_slice()),
            None => ("$commit", [].as_slice()),
        };
        let stands_within = match &item.within {
            Within::Log => true,
            Within::Category(name) => self.stream.as_str().split('-').next() == Some(name.as_ref()),
            Within::Stream(name) => self.stream == *name,
        };
        let has_a_type = item.types.is_empty() || item.types.iter().any(|name| name.as_ref() == type_name);
        let has_all_tags = item.tags.iter().all(|tag| tags.contains(tag));
        stands_within && has_a_type && has_all_tags
    }

    /// How many bytes its body has in the encoding that every store uses.
    pub(crate) fn body_bytes(&self) -> u64 {
        let id = annalist_core::EventId::new(uuid::Uuid::nil());
        let bare = NewEvent::new(id, EventType::system(), "").with_content_type(ContentType::BYTES);
        body_len(&self.stream, self.event.as_ref().unwrap_or(&bare)) as u64
    }
}
