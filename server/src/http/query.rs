//! Queries, as JSON and as parameters of an address.

use annalist_core::{Invalid, Query, QueryItem, SYSTEM_STREAM, StreamId, Tag};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// Which events: those that match at least one of its items.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryIn {
    /// At most 64 items. One without any field matches every event.
    items: Vec<ItemIn>,
}

/// An item of a query. An event matches it if its type is one of `types` (any, if there are none), it has all of `tags`, and it
/// stands in the category or stream.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ItemIn {
    /// Declared names of types.
    types: Vec<String>,
    /// Tags, all of which it must have.
    tags: Vec<String>,
    /// A category: what stands before the first `-` of a stream's name.
    category: Option<String>,
    /// One stream; not together with a category.
    stream: Option<String>,
}

impl TryFrom<QueryIn> for Query {
    type Error = Problem;
    fn try_from(query: QueryIn) -> Result<Self, Problem> {
        query.items.into_iter().map(QueryItem::try_from).collect()
    }
}

impl TryFrom<ItemIn> for QueryItem {
    type Error = Problem;
    fn try_from(item: ItemIn) -> Result<Self, Problem> {
        let tags = item.tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, Invalid>>()?;
        let plain = Self::new().types(item.types).tags(tags);
        match (item.category, item.stream) {
            (None, None) => Ok(plain),
            (Some(category), None) => Ok(plain.category(category)),
            (None, Some(name)) => Ok(plain.stream(stream(name)?)),
            (Some(_), Some(_)) => Err(Problem::malformed("a query has either a category or a stream; leave one out")),
        }
    }
}

/// A stream's name in a question: the store's own stream can be asked about.
fn stream(name: String) -> Result<StreamId, Invalid> {
    if name == SYSTEM_STREAM { Ok(StreamId::system()) } else { StreamId::new(name) }
}

/// The parameters of a read or a subscription.
#[derive(IntoParams, Default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Declared names of types: an event matches if it has one of them. May be given several times.
    #[param(rename = "type")]
    pub(super) types: Vec<String>,
    /// Tags: an event matches if it has all of them. May be given several times.
    #[param(rename = "tag")]
    pub(super) tags: Vec<String>,
    /// A category: what stands before the first `-` of a stream's name.
    pub(super) category: Option<String>,
    /// One stream; not together with a category.
    pub(super) stream: Option<String>,
    /// Behind which position. Of a subscription also a cursor, `position@store:epoch`.
    pub(super) after: Option<String>,
    /// Before which position, newest first. Of a read only; empty for the end of the log.
    pub(super) before: Option<String>,
    /// At most how many events, up to 1,000. Of a read only. Default: 100.
    pub(super) limit: Option<u64>,
}

impl Parameters {
    /// Reads the part of an address behind `?`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let mut found = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.into_owned();
            match &*name {
                "type" => found.types.push(value),
                "tag" => found.tags.push(value),
                "category" => found.category = Some(value),
                "stream" => found.stream = Some(value),
                "after" => found.after = Some(value),
                "before" => found.before = Some(value),
                "limit" => {
                    let wrong = |_| Problem::malformed(format!("`{value}` is not a limit; write a number"));
                    found.limit = Some(value.parse().map_err(wrong)?);
                }
                other => {
                    let why = format!("there is no parameter `{other}`; /openapi.json lists what there is");
                    return Err(Problem::malformed(why));
                }
            }
        }
        Ok(found)
    }

    /// The query that they state.
    pub(super) fn query(&self) -> Result<Query, Problem> {
        let Self { types, tags, category, stream, .. } = self;
        let (types, tags, category, stream) = (types.clone(), tags.clone(), category.clone(), stream.clone());
        Ok(Query::of(ItemIn { types, tags, category, stream }.try_into()?))
    }
}
