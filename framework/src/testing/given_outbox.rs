//! Given events, then messages: tests of what an outbox publishes, without a broker.

use std::fmt;

use serde_json::Value;

use super::difference::difference;
use crate::{
    event::Events,
    outbox::{MapError, Message, Outbox},
    projection::{GivenEvent, given_log},
};

/// Maps events as the relay of this outbox would, after a round trip through their bytes.
///
/// ```
/// # use annalist::{Event, Recorded, outbox::{IntegrationEvent, MapError, MemoryPublisher, Outbox}};
/// # use annalist::testing::given_outbox;
/// # use serde_json::json;
/// # #[derive(Event, Clone, Debug, PartialEq)]
/// # #[event(category = "order")]
/// # enum OrderEvent {
/// #     #[event(name = "order-placed")] Placed { cents: u64 },
/// #     #[event(name = "note-added")] Noted { text: String },
/// # }
/// fn public(recorded: &Recorded<OrderEvent>) -> Result<Vec<IntegrationEvent>, MapError> {
///     let stream = recorded.record.stream_id();
///     let order = stream.identifier();
///     match &recorded.event {
///         OrderEvent::Placed { cents } => {
///             Ok(vec![IntegrationEvent::json("orders.order-placed.v1", order, &json!({ "cents": cents }))?])
///         }
///         OrderEvent::Noted { .. } => Ok(vec![]),
///     }
/// }
/// let outbox = Outbox::new(MemoryPublisher::new()).map_events(public);
/// let noted = OrderEvent::Noted { text: "by phone".to_owned() };
/// given_outbox(&outbox, [("order-7", OrderEvent::Placed { cents: 50 }), ("order-7", noted)])
///     .then_publishes([("orders.order-placed.v1", "7", json!({ "cents": 50 }))]);
/// ```
///
/// # Panics
/// When an event cannot be encoded, a stream's name is not valid, or mapping an event again gives something else: the test
/// fails.
#[track_caller]
pub fn given_outbox<T: Events, E: Into<GivenEvent<T>>>(
    outbox: &Outbox,
    events: impl IntoIterator<Item = E>,
) -> GivenOutbox {
    let mut messages = Vec::new();
    for recorded in given_log(events) {
        let record = &recorded.record;
        let map = || outbox.messages(record, recorded.cursor);
        let (mapped, again) = (map(), map());
        assert!(
            mapped == again,
            "`{}` is mapped to something else the second time; after a restart it would be published differently\n{}",
            record.type_name(),
            difference(&mapped, &again)
        );
        match mapped {
            Ok(mapped) => messages.extend(mapped),
            Err(refused) => return GivenOutbox { messages, refused: Some(refused) },
        }
    }
    GivenOutbox { messages, refused: None }
}

/// What given events were mapped to.
#[must_use = "say what is published"]
pub struct GivenOutbox {
    messages: Vec<Message>,
    refused: Option<MapError>,
}

impl GivenOutbox {
    /// These messages are published and no others, in this order: type, subject, and data as JSON.
    ///
    /// # Panics
    /// When it is something else, or something that is not JSON.
    #[track_caller]
    pub fn then_publishes<'a>(self, expected: impl IntoIterator<Item = (&'a str, &'a str, Value)>) {
        let expected: Vec<_> =
            expected.into_iter().map(|(name, subject, data)| (name.to_owned(), subject.to_owned(), data)).collect();
        let actual: Vec<_> = self.then_messages().into_iter().map(plain).collect();
        assert!(expected == actual, "other messages are published\n{}", difference(&expected, &actual));
    }

    /// Nothing is published.
    ///
    /// # Panics
    /// When something is.
    #[track_caller]
    pub fn then_publishes_nothing(self) {
        self.then_publishes([]);
    }

    /// The messages, for what [`GivenOutbox::then_publishes`] does not compare.
    ///
    /// # Panics
    /// When an event could not be mapped.
    #[must_use]
    #[track_caller]
    pub fn then_messages(self) -> Vec<Message> {
        match self.refused {
            None => self.messages,
            Some(refused) => panic!("an event cannot be mapped: {refused}"),
        }
    }

    /// An event cannot be mapped, which stops the relay; returns why.
    ///
    /// # Panics
    /// When all can.
    #[must_use]
    #[track_caller]
    pub fn then_stops(self) -> MapError {
        match self.refused {
            Some(refused) => refused,
            None => panic!("every event can be mapped: {:?}", self.messages),
        }
    }
}

#[track_caller]
fn plain(message: Message) -> (String, String, Value) {
    let event = message.event;
    match serde_json::from_slice(&event.data) {
        Ok(data) => (event.event_type, event.subject, data),
        Err(error) => panic!("the data of {} is not JSON: {error}", event.event_type),
    }
}

impl fmt::Debug for GivenOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenOutbox")
            .field("messages", &self.messages.len())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}
