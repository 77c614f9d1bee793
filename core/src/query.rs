//! Which events: by type, by tag, by category or stream, across the whole log.

use std::{borrow::Cow, fmt};

use crate::{
    error::Invalid,
    event::Tag,
    limits,
    position::{Cursor, Position},
    recorded::RecordedEvent,
    stream::{StreamId, category},
    text,
};

/// Where an item of a query looks.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Within {
    /// In the whole log.
    #[default]
    Log,
    /// In the streams of one category.
    Category(Cow<'static, str>),
    /// In one stream.
    Stream(StreamId),
}

/// One item of a query. An event matches it if its type is one of `types` (any, if there are none), it has all of `tags`,
/// and it stands `within`. An item without any of these matches every event.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub struct QueryItem {
    /// Declared names, of whichever version; one of them must be the event's.
    pub types: Vec<Cow<'static, str>>,
    /// All of them must be among the event's tags.
    pub tags: Vec<Tag>,
    /// Where the event must stand.
    pub within: Within,
}

impl QueryItem {
    /// An item that matches every event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds types: an event matches if it has one of them.
    #[must_use]
    pub fn types<T: Into<Cow<'static, str>>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Adds tags: an event matches if it has all of them.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Looks only in the streams of a category.
    #[must_use]
    pub fn category(mut self, category: impl Into<Cow<'static, str>>) -> Self {
        self.within = Within::Category(category.into());
        self
    }

    /// Looks only in one stream.
    #[must_use]
    pub fn stream(mut self, stream: StreamId) -> Self {
        self.within = Within::Stream(stream);
        self
    }

    /// Whether it matches every event.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.types.is_empty() && self.tags.is_empty() && self.within == Within::Log
    }

    /// Whether an event of this stream and type with these tags matches.
    #[must_use]
    pub fn matches<'a, T>(&self, stream: &str, type_name: &str, tags: &T) -> bool
    where
        T: Iterator<Item = &'a str> + Clone,
    {
        (match &self.within {
            Within::Log => true,
            Within::Category(wanted) => category(stream) == wanted,
            Within::Stream(wanted) => stream == wanted.as_str(),
        }) && (self.types.is_empty() || self.types.iter().any(|wanted| wanted == type_name))
            && self.tags.iter().all(|wanted| tags.clone().any(|tag| tag == wanted.as_str()))
    }

    fn name_count(&self) -> usize {
        self.types.len() + self.tags.len() + usize::from(self.within != Within::Log)
    }

    fn check(&self) -> Result<(), Invalid> {
        for name in &self.types {
            text::check("event type in the query", name, limits::TYPE_BYTES_MAX)?;
        }
        match &self.within {
            Within::Category(name) => {
                text::check("category in the query", name, limits::NAME_BYTES_MAX)?;
                if name.contains('-') { Err(Invalid::Category { value: name.to_string() }) } else { Ok(()) }
            }
            Within::Log | Within::Stream(_) => Ok(()),
        }
    }
}

impl fmt::Display for QueryItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("every event");
        }
        let mut between = "";
        if !self.types.is_empty() {
            write!(f, "type {}", list(&self.types, " or "))?;
            between = ", ";
        }
        if !self.tags.is_empty() {
            write!(f, "{between}tag {}", list(&self.tags, " and "))?;
            between = ", ";
        }
        match &self.within {
            Within::Log => Ok(()),
            Within::Category(name) => write!(f, "{between}category `{name}`"),
            Within::Stream(name) => write!(f, "{between}stream `{name}`"),
        }
    }
}

fn list(names: &[impl fmt::Display], between: &str) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}

/// Which events: those that match at least one of its items.
///
/// ```
/// # use annalist_core::{Query, QueryItem, StreamId, Tag};
/// let course = Tag::new("course:c1")?;
/// let student = Tag::new("student:s7")?;
/// let query = Query::of(QueryItem::new().types(["student-enrolled"]).tags([course.clone()]))
///     .or(QueryItem::new().tags([student]));
/// assert_eq!(query.to_string(), "type `student-enrolled`, tag `course:c1`; or tag `student:s7`");
/// # Ok::<(), annalist_core::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Query {
    /// An event matches if it matches one of them.
    pub items: Vec<QueryItem>,
}

impl Query {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::of(QueryItem::new())
    }

    /// The events that match one item.
    #[must_use]
    pub fn of(item: QueryItem) -> Self {
        Self { items: vec![item] }
    }

    /// The events of these types, whichever version.
    #[must_use]
    pub fn types<T: Into<Cow<'static, str>>>(types: impl IntoIterator<Item = T>) -> Self {
        Self::of(QueryItem::new().types(types))
    }

    /// The events that have all of these tags.
    #[must_use]
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Self {
        Self::of(QueryItem::new().tags(tags))
    }

    /// The events in the streams of a category.
    #[must_use]
    pub fn category(category: impl Into<Cow<'static, str>>) -> Self {
        Self::of(QueryItem::new().category(category))
    }

    /// The events of one stream.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self::of(QueryItem::new().stream(stream))
    }

    /// Those, and the events that match another item.
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        self.items.push(item);
        self
    }

    /// Whether it certainly matches every event, because one of its items does.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.items.iter().any(QueryItem::is_all)
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.items.iter().any(|item| item.matches(event.stream(), event.type_name(), &event.tags()))
    }

    /// Checks the query against the limits. Every store does this first.
    ///
    /// # Errors
    /// [`Invalid`] when it has no item, too many items or names, or a name that cannot be one.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.items.is_empty() {
            return Err(Invalid::EmptyQuery);
        }
        at_most("items in one query", self.items.len(), limits::QUERY_ITEMS_MAX)?;
        let names = self.items.iter().map(QueryItem::name_count).sum();
        at_most("names in one query", names, limits::QUERY_NAMES_MAX)?;
        self.items.iter().try_for_each(QueryItem::check)
    }
}

fn at_most(what: &'static str, actual: usize, limit: usize) -> Result<(), Invalid> {
    if actual > limit { Err(Invalid::TooMany { what, actual, limit }) } else { Ok(()) }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self::of(item)
    }
}

impl FromIterator<QueryItem> for Query {
    fn from_iter<I: IntoIterator<Item = QueryItem>>(items: I) -> Self {
        Self { items: items.into_iter().collect() }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.items.iter().enumerate() {
            let between = if at == 0 { "" } else { "; or " };
            write!(f, "{between}{item}")?;
        }
        Ok(())
    }
}

/// Something that must not be in the log for an append to be recorded: any event that matches `query` behind `after`.
///
/// What a decision read is its *consistency boundary*: read by the query, decide, append under the condition that nothing
/// matching came behind what was read (<https://dcb.events>).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// Which events.
    pub query: Query,
    /// What was seen: only events behind it count. [`Cursor::START`]: none at all may be there.
    pub after: Cursor,
}

impl Condition {
    /// The last position that does not count.
    #[must_use]
    pub const fn after(&self) -> Position {
        self.after.position
    }
}

#[cfg(test)]
mod tests;
