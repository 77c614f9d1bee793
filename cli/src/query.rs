//! `annalist query`: events that match one of several items.

use annalist_core::{Position, Query, QueryItem, Read, StreamId, Tag};
use clap::Args;
use serde::Deserialize;

use crate::{
    events,
    failure::{Done, Failure},
    output::Output,
    place::Place,
};

/// Prints the events that match at least one item; `read` is shorter for one item
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// What an event must match, all of it, as JSON: `{"category": "order", "types": ["placed", "paid"], "tags": ["vip"]}`. The
    /// type must be one of `types`; `stream` goes in place of `category`; `{}` matches every event.
    #[arg(required = true, value_name = "ITEM", value_parser = item)]
    items: Vec<QueryItem>,
    /// Begin behind this position.
    #[arg(long)]
    after: Option<u64>,
    /// Newest first, from before `--after` or from the end.
    #[arg(long)]
    backward: bool,
    /// At most this many.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
}

/// An item as it is written, here and over HTTP.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Item {
    types: Vec<String>,
    tags: Vec<String>,
    category: Option<String>,
    stream: Option<String>,
}

fn item(text: &str) -> Result<QueryItem, String> {
    let Item { types, tags, category, stream } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let tags = tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let item = QueryItem::new().types(types).tags(tags);
    match (category, stream) {
        (None, None) => Ok(item),
        (Some(category), None) => Ok(item.category(category)),
        (None, Some(stream)) => Ok(item.stream(StreamId::new(stream).map_err(|error| error.to_string())?)),
        (Some(_), Some(_)) => Err("an item has either a category or a stream; leave one out".to_owned()),
    }
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let Arguments { place, items, after, backward, limit } = arguments;
    let query: Query = items.into_iter().collect();
    query.check()?;
    let read = if backward {
        Read::query_backward(query, after.map_or(Position::MAX, Position::new))
    } else {
        Read::query(query, after.map_or(Position::ZERO, Position::new))
    };
    let store = place.open_to_read().await?;
    let batches = store.read(read.limit(limit)).await?;
    events::print_all(batches, output).await?;
    store.close().await?;
    Ok(Done::Well)
}
