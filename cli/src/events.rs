//! Which events are asked for, and how one is printed.

use annalist_core::{
    Batches, Cursor, Direction, EventStore, Invalid, Position, Query, QueryItem, Read, RecordedEvent, StoreId,
    StreamId, Tag, Version,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use console::style;
use serde_json::{Map, Value, json};

use crate::{
    failure::Failure,
    output::{Output, printable},
};

/// Which events. They must match all that is given.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// Only of this stream.
    #[arg(long, conflicts_with = "category")]
    stream: Option<String>,
    /// Only of the streams of this category.
    #[arg(long)]
    category: Option<String>,
    /// Only of this type; given more than once, of any of them.
    #[arg(long = "type", value_name = "NAME")]
    types: Vec<String>,
    /// Only with this tag; given more than once, with all of them.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

impl Which {
    pub(crate) fn query(&self) -> Result<Query, Invalid> {
        let tags = self.tags.iter().map(|tag| Tag::new(tag.as_str())).collect::<Result<Vec<_>, _>>()?;
        let mut item = QueryItem::new().types(self.types.iter().cloned()).tags(tags);
        if let Some(category) = &self.category {
            item = item.category(category.clone());
        }
        if let Some(stream) = &self.stream {
            item = item.stream(StreamId::new(stream.as_str())?);
        }
        Ok(if item.is_all() { Query::all() } else { Query::of(item) })
    }

    /// The stream, if nothing else is asked for: its events then count by versions.
    pub(crate) fn stream_alone(&self) -> Result<Option<StreamId>, Invalid> {
        let alone = self.types.is_empty() && self.tags.is_empty();
        self.stream.as_deref().filter(|_| alone).map(StreamId::new).transpose()
    }

    /// The last events, oldest first, and the head of the log behind which none of them stands.
    pub(crate) async fn last(
        &self,
        store: &dyn EventStore,
        count: u64,
    ) -> Result<(Vec<RecordedEvent>, Cursor), Failure> {
        let read = match self.stream_alone()? {
            Some(stream) => Read::stream_backward(stream, Version::MAX),
            None => Read::query_backward(self.query()?, Position::MAX),
        };
        debug_assert!(read.direction == Direction::Backward, "the last events come first");
        let (mut events, mut batches) = (Vec::new(), store.read(read.limit(count)).await?);
        loop {
            let batch = batches.next().await?;
            if batch.is_empty() {
                events.reverse();
                return Ok((events, batches.head()));
            }
            events.extend(batch);
        }
    }
}

/// Prints everything that a read gives.
pub(crate) async fn print_all(mut batches: Box<dyn Batches>, output: &mut Output) -> Result<(), Failure> {
    let store = batches.head().store;
    loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            return Ok(());
        }
        print(&batch, store, output)?;
    }
}

/// Prints some events: CloudEvents, one for each line, or a line for people.
pub(crate) fn print(events: &[RecordedEvent], store: StoreId, output: &mut Output) -> Result<(), Failure> {
    for event in events {
        if output.json {
            output.value(&cloud_event(event, store))?;
        } else {
            output.line(&line(event))?;
        }
    }
    Ok(())
}

/// A line for people; in colours on a terminal that has them.
fn line(event: &RecordedEvent) -> String {
    let payload = match std::str::from_utf8(event.payload()) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{} bytes of {}", event.payload().len(), event.content_type()),
    };
    let tags = event.tags().fold(String::new(), |tags, tag| tags + " #" + tag);
    let [tags, stream, name, payload] = [&tags, event.stream(), event.type_name(), &payload].map(printable);
    let place = style(format!("{:>8}  {}", event.position, event.time)).dim();
    let (stream, version) = (style(stream).cyan(), style(format!("@{}", event.version)).dim());
    format!("{place}  {stream}{version}  {}{}  {payload}", style(name).bold(), style(tags).yellow())
}

/// An event as a `CloudEvent` in JSON. Numbers that may exceed 32 bits are texts, as the standard wants it; `tags`, a list, and
/// `metadata`, an object, are more than it knows. A payload that says that it is JSON and is, stands as such; any other in base64.
pub(crate) fn cloud_event(event: &RecordedEvent, store: StoreId) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| _ = members.insert(name.to_owned(), value);
    put("specversion", json!("1.0"));
    put("id", json!(event.id.to_string()));
    put("source", json!(format!("urn:annalist:{store}")));
    put("type", json!(event.type_name()));
    put("typeversion", json!(event.type_version()));
    put("subject", json!(event.stream()));
    put("time", json!(event.time.to_string()));
    put("position", json!(event.position.get().to_string()));
    put("streamversion", json!(event.version.get().to_string()));
    put("tags", json!(event.tags().collect::<Vec<_>>()));
    put("metadata", json!(serde_json::to_value(event.metadata()).unwrap_or_default()));
    put("datacontenttype", json!(event.content_type()));
    let is_json = event.content_type() == "application/json";
    match serde_json::from_slice::<Value>(event.payload()) {
        Ok(data) if is_json => put("data", data),
        _ => put("data_base64", json!(BASE64_STANDARD.encode(event.payload()))),
    }
    Value::Object(members)
}
