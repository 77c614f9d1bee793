//! The names that histories use: few, so that they meet, and some of them beginnings of others.

use std::borrow::Cow;

use annalist_core::{Key, Query, QueryItem, StreamId, Tag};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
    sample::select,
};

/// How many streams the histories write to.
pub(crate) const STREAMS: u8 = 5;
/// How many keys the histories use: few, so that they come again.
pub(crate) const KEYS: u8 = 12;

/// What the streams are called. The first three are of one category.
const STREAM_NAMES: [&str; STREAMS as usize] = ["a-1", "a-10", "a", "b-1", "ä-1"];
/// What types are called. The last is also the name of a stream, a category and a tag, which are different things.
pub(crate) const TYPES: [&str; 4] = ["kind", "kind-1", "kind-10", "a"];
/// What tags are called.
pub(crate) const TAGS: [&str; 4] = ["t", "t:1", "t:10", "a"];

/// What queries ask for besides: the store's own, and what no event has.
const TYPES_BESIDES: [&str; 2] = ["$commit", "missing"];
const TAGS_BESIDES: [&str; 1] = ["missing"];
const CATEGORIES: [&str; 5] = ["a", "b", "ä", "$commits", "missing"];

/// The stream with this number; the one behind the last is the store's own.
pub(crate) fn stream(number: u8) -> StreamId {
    match STREAM_NAMES.get(usize::from(number)) {
        Some(name) => StreamId::new(*name).expect("a valid name"),
        None => StreamId::system(),
    }
}

/// All streams that a history can have written to, the store's own last.
pub(crate) fn streams() -> impl Iterator<Item = StreamId> {
    (0..=STREAMS).map(stream)
}

pub(crate) fn key(number: u8) -> Key {
    Key::new(format!("scope {}", number % 3), format!("key {number}")).expect("a valid key")
}

pub(crate) fn keys() -> impl Iterator<Item = Key> {
    (0..KEYS).map(key)
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::new(name).expect("a valid tag")
}

/// A query for each name alone, and for everything.
pub(crate) fn queries_by_name() -> Vec<Query> {
    let types = TYPES.iter().chain(&TYPES_BESIDES).map(|name| Query::types([*name]));
    let tags = TAGS.iter().chain(&TAGS_BESIDES).map(|name| Query::tags([tag(name)]));
    let categories = CATEGORIES.map(Query::category);
    types.chain(tags).chain(categories).chain(streams().map(Query::stream)).chain([Query::all()]).collect()
}

/// Draws queries: everything, one name of each sort, several together in one item, and several items.
pub(crate) fn query() -> impl Strategy<Value = Query> {
    let one = item().prop_map(Query::of);
    let several = vec(item(), 2..=4).prop_map(|items| items.into_iter().collect());
    prop_oneof![6 => one, 2 => several]
}

fn item() -> impl Strategy<Value = QueryItem> {
    let item = QueryItem::new;
    prop_oneof![
        1 => Just(item()),
        2 => type_name().prop_map(move |name| item().types([name])),
        2 => category().prop_map(move |name| item().category(name)),
        1 => any_stream().prop_map(move |stream| item().stream(stream)),
        2 => a_tag().prop_map(move |tag| item().tags([tag])),
        2 => vec(a_tag(), 2).prop_map(move |tags| item().tags(tags)),
        2 => (a_tag(), type_name()).prop_map(move |(tag, name)| item().tags([tag]).types([name])),
        2 => (vec(a_tag(), 0..=2), vec(type_name(), 0..=3), category())
            .prop_map(move |(tags, types, category)| item().tags(tags).types(types).category(category)),
        1 => (vec(a_tag(), 0..=2), vec(type_name(), 0..=3), any_stream())
            .prop_map(move |(tags, types, stream)| item().tags(tags).types(types).stream(stream)),
    ]
}

fn type_name() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![8 => select(&TYPES), 1 => select(&TYPES_BESIDES)].prop_map(Cow::Borrowed)
}

fn a_tag() -> impl Strategy<Value = Tag> {
    prop_oneof![8 => select(&TAGS), 1 => select(&TAGS_BESIDES)].prop_map(tag)
}

fn category() -> impl Strategy<Value = Cow<'static, str>> {
    select(&CATEGORIES).prop_map(Cow::Borrowed)
}

fn any_stream() -> impl Strategy<Value = StreamId> {
    (0..=STREAMS).prop_map(stream)
}
