//! Queries, as JSON and as parameters of an address.

use annalist_core::{Invalid, Query, QueryItem, SYSTEM_STREAM, StreamId, Tag};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    problem::Problem,
    schema::{Category, CursorText, Name, PositionText, StreamName, TypeName},
};

/// Which events: those that match at least one of its items.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryIn {
    /// At most 64 items. One without any field matches every event.
    #[schema(min_items = 1, max_items = 64)]
    items: Vec<ItemIn>,
}

/// An item of a query. An event matches it if its type is one of `types` (any, if there are none), it has all of `tags`, and it
/// stands in the category or stream.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ItemIn {
    /// Declared names of types.
    #[schema(value_type = Vec<TypeName>)]
    types: Vec<String>,
    /// Tags, all of which it must have.
    #[schema(value_type = Vec<Name>)]
    tags: Vec<String>,
    /// A category: what stands before the first `-` of a stream's name.
    #[schema(value_type = Option<Category>)]
    category: Option<String>,
    /// One stream; not together with a category.
    #[schema(value_type = Option<StreamName>)]
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
    #[param(rename = "type", value_type = Vec<TypeName>)]
    pub(super) types: Vec<String>,
    /// Tags: an event matches if it has all of them. May be given several times.
    #[param(rename = "tag", value_type = Vec<Name>)]
    pub(super) tags: Vec<String>,
    /// A category: what stands before the first `-` of a stream's name.
    #[param(value_type = Option<Category>)]
    pub(super) category: Option<String>,
    /// One stream; not together with a category.
    #[param(value_type = Option<StreamName>)]
    pub(super) stream: Option<String>,
    /// Behind which position. Of a subscription also a cursor, `position@store:epoch`.
    #[param(value_type = Option<CursorText>)]
    pub(super) after: Option<String>,
    // A subscription has none of these.
    #[param(ignore)]
    pub(super) before: Option<String>,
    #[param(ignore)]
    pub(super) limit: Option<u64>,
}

/// The parameters that a read has besides.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are described, and read with the others")]
pub(super) struct Page {
    /// Before which position, newest first; empty for the end of the log. Not together with `after`.
    #[param(value_type = Option<PositionText>)]
    before: Option<String>,
    /// At most how many events. Default: 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
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
