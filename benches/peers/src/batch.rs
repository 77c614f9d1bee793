//! What is appended: the same for every store.

use annalist_core::{Invalid, NewEvent};
use benches::EventSource;
use serde::{Deserialize, Serialize};

/// A stream is left for a new one once it has this many events.
const STREAM_EVENTS: u64 = 100;

/// An event and where it belongs.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The stream. Stores without streams tag the event with it, if it is to be found by stream.
    pub stream: String,
    /// Events that the stream has before this one.
    pub version: u64,
    /// Marks by which it can be found, beside the stream.
    pub tags: Vec<String>,
    /// Type, id and payload.
    pub event: NewEvent,
}

/// What makes an append fail when it comes a second time.
#[derive(Clone, Debug)]
pub(crate) enum Once {
    /// Nothing but the versions of its streams.
    No,
    /// No event may have this tag yet; the append's event has it.
    Tag(String),
    /// The append has this key.
    Key(String),
}

/// One append: all of it or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// What is appended, in order; events of one stream stand together.
    pub items: Vec<Item>,
    /// Whether the events must be found by stream and take exactly the versions that they name. Otherwise the stream is
    /// only where a store that has streams puts them.
    pub by_stream: bool,
    /// Its condition.
    pub once: Once,
}

impl Batch {
    /// For stores without keys: a key becomes a tag of the first event, and the condition that no event has it.
    #[must_use]
    pub(crate) fn keys_as_tags(mut self) -> Self {
        if let Once::Key(key) = self.once {
            if let Some(first) = self.items.first_mut() {
                first.tags.push(key.clone());
            }
            self.once = Once::Tag(key);
        }
        self
    }

    /// The tag that no event may have.
    #[must_use]
    pub(crate) fn new_tag(&self) -> Option<&str> {
        match &self.once {
            Once::Tag(tag) => Some(tag),
            Once::No | Once::Key(_) => None,
        }
    }
}

impl Item {
    /// The tags for a store that knows nothing else.
    pub(crate) fn all_tags(&self, by_stream: bool) -> impl Iterator<Item = &str> {
        self.tags.iter().map(String::as_str).chain(by_stream.then_some(self.stream.as_str()))
    }
}

/// How a row appends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum How {
    /// To streams of 100 events, at exact versions; no tags.
    Streams,
    /// One unique tag on each event, no condition.
    Tagged,
    /// The same under the condition that no event has that tag.
    NewTag,
    /// No tag, but a key on each append.
    Keyed,
}

/// One writer's appends: always the same ones, from a seed.
#[derive(Debug)]
pub(crate) struct Writer {
    number: u64,
    how: How,
    appends: u64,
    streams: u64,
    version: u64,
    events: EventSource,
}

impl Writer {
    /// The appends of this writer.
    ///
    /// # Errors
    /// Never in practice: the names are fixed and valid.
    pub(crate) fn new(number: u64, how: How) -> Result<Self, Invalid> {
        Ok(Self { number, how, appends: 0, streams: 0, version: 0, events: EventSource::new(number)? })
    }

    /// The next append, of so many events of one stream.
    pub(crate) fn next(&mut self, events: usize) -> Batch {
        if self.version >= STREAM_EVENTS {
            self.streams += 1;
            self.version = 0;
        }
        let unique = format!("order:{}-{}", self.number, self.appends);
        let once = match self.how {
            How::Streams | How::Tagged => Once::No,
            How::NewTag => Once::Tag(unique.clone()),
            How::Keyed => Once::Key(unique.clone()),
        };
        let is_tagged = matches!(self.how, How::Tagged | How::NewTag);
        let mut items = Vec::with_capacity(events);
        for _ in 0..events {
            items.push(Item {
                stream: format!("order-{}-{}", self.number, self.streams),
                version: self.version,
                tags: if is_tagged { vec![unique.clone()] } else { Vec::new() },
                event: self.events.event(),
            });
            self.version += 1;
        }
        self.appends += 1;
        Batch { items, by_stream: self.how == How::Streams, once }
    }
}
