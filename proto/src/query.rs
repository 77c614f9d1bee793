//! Queries and conditions.

use annalist_core::{Condition, Invalid, Query, QueryItem, SYSTEM_STREAM, StreamId, Tag, Within};

use crate::{
    cursor::{or_start, required},
    v1,
};

/// A stream's name in a question: the store's own stream can be asked about.
pub(crate) fn stream(name: String) -> Result<StreamId, Invalid> {
    if name == SYSTEM_STREAM { Ok(StreamId::system()) } else { StreamId::new(name) }
}

pub(crate) fn tags(tags: Vec<String>) -> Result<Vec<Tag>, Invalid> {
    tags.into_iter().map(Tag::new).collect()
}

impl From<Query> for v1::Query {
    fn from(query: Query) -> Self {
        Self { items: query.items.into_iter().map(Into::into).collect() }
    }
}

impl From<QueryItem> for v1::QueryItem {
    fn from(item: QueryItem) -> Self {
        use v1::query_item::Within as Wire;
        Self {
            types: item.types.into_iter().map(Into::into).collect(),
            tags: item.tags.iter().map(ToString::to_string).collect(),
            within: match item.within {
                Within::Log => None,
                Within::Category(category) => Some(Wire::Category(category.into())),
                Within::Stream(stream) => Some(Wire::Stream(stream.to_string())),
            },
        }
    }
}

impl TryFrom<v1::Query> for Query {
    type Error = Invalid;
    fn try_from(query: v1::Query) -> Result<Self, Invalid> {
        query.items.into_iter().map(QueryItem::try_from).collect()
    }
}

impl TryFrom<v1::QueryItem> for QueryItem {
    type Error = Invalid;
    fn try_from(item: v1::QueryItem) -> Result<Self, Invalid> {
        use v1::query_item::Within as Wire;
        let plain = Self::new().types(item.types).tags(tags(item.tags)?);
        Ok(match item.within {
            None => plain,
            Some(Wire::Category(category)) => plain.category(category),
            Some(Wire::Stream(name)) => plain.stream(stream(name)?),
        })
    }
}

impl From<Condition> for v1::Condition {
    fn from(condition: Condition) -> Self {
        Self { query: Some(condition.query.into()), after: Some(condition.after.into()) }
    }
}

impl TryFrom<v1::Condition> for Condition {
    type Error = Invalid;
    fn try_from(condition: v1::Condition) -> Result<Self, Invalid> {
        let query = required("query of the condition", condition.query)?.try_into()?;
        Ok(Self { query, after: or_start(condition.after)? })
    }
}
