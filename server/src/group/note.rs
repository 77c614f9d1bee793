//! What is kept of groups: one note for each, and one with all names. JSON, which a person can read when it matters.

use std::time::Duration;

use annalist_core::{Checkpoints, Cursor, Invalid, Query, QueryItem, StoreError, StreamId, Tag, Within};
use annalist_store::Store;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::state::Unsettled;

/// The note with the names of all groups. Nobody else's begins with `$`.
const NAMES: &str = "$groups";

/// What a group is about, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// The events that it is about.
    pub(crate) query: Query,
    /// How often an event is handed out before it is parked, at least 1.
    pub(crate) attempts_max: u32,
    /// How long a member may take for an event.
    pub(crate) answer_within: Duration,
}

/// A group as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) terms: Terms,
    /// Everything up to here was taken in.
    pub(crate) read: Cursor,
    pub(crate) unsettled: Vec<Unsettled>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    /// Of this form of the note.
    version: u32,
    query: Vec<NoteItem>,
    attempts_max: u32,
    answer_within_ms: u64,
    read: Cursor,
    unsettled: Vec<NoteUnsettled>,
}

#[derive(Serialize, Deserialize)]
struct NoteItem {
    types: Vec<String>,
    tags: Vec<String>,
    category: Option<String>,
    stream: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct NoteUnsettled {
    position: u64,
    stream: String,
    attempts: u32,
    parked: Option<String>,
}

/// The form that is written; others are not read.
const VERSION: u32 = 1;

fn name_of(group: &str) -> String {
    format!("$group/{group}")
}

/// Whether a note's name is one of these.
pub(crate) fn is_of_groups(name: &str) -> bool {
    name.starts_with('$')
}

/// The names of all groups.
pub(crate) async fn names(store: &Store) -> Result<Vec<String>, StoreError> {
    let Some(note) = Checkpoints::load(store, NAMES).await? else { return Ok(Vec::new()) };
    serde_json::from_slice(&note).map_err(|error| unreadable(NAMES, &error))
}

/// Replaces them.
pub(crate) async fn save_names(store: &Store, names: &[String]) -> Result<(), StoreError> {
    Checkpoints::save(store, NAMES, encoded(&names)?).await
}

/// A group, if it was ever kept and not removed.
pub(crate) async fn load(store: &Store, group: &str) -> Result<Option<Kept>, StoreError> {
    let name = name_of(group);
    let note = Checkpoints::load(store, &name).await?.filter(|note| !note.is_empty());
    note.map(|note| decoded(&name, &note)).transpose()
}

/// Keeps it, as [`encode`] wrote it.
pub(crate) async fn save(store: &Store, group: &str, note: Bytes) -> Result<(), StoreError> {
    Checkpoints::save(store, &name_of(group), note).await
}

/// As it is kept.
pub(crate) fn encode(kept: &Kept) -> Result<Bytes, StoreError> {
    encoded(&Note {
        version: VERSION,
        query: kept.terms.query.items.iter().map(item).collect(),
        attempts_max: kept.terms.attempts_max,
        answer_within_ms: u64::try_from(kept.terms.answer_within.as_millis()).unwrap_or(u64::MAX),
        read: kept.read,
        unsettled: kept.unsettled.iter().cloned().map(Into::into).collect(),
    })
}

/// Forgets it.
pub(crate) async fn remove(store: &Store, group: &str) -> Result<(), StoreError> {
    Checkpoints::save(store, &name_of(group), Bytes::new()).await
}

fn encoded(note: &impl Serialize) -> Result<Bytes, StoreError> {
    let unavailable = |error: serde_json::Error| StoreError::Unavailable { why: error.to_string() };
    serde_json::to_vec(note).map(Bytes::from).map_err(unavailable)
}

fn decoded(name: &str, note: &[u8]) -> Result<Kept, StoreError> {
    let note: Note = serde_json::from_slice(note).map_err(|error| unreadable(name, &error))?;
    if note.version != VERSION {
        return Err(unreadable(name, &format!("its form is {}; a newer server has written it", note.version)));
    }
    let query: Result<Query, Invalid> = note.query.into_iter().map(query_item).collect();
    let query = query.map_err(|error| unreadable(name, &error))?;
    let (attempts_max, answer_within) = (note.attempts_max, Duration::from_millis(note.answer_within_ms));
    let unsettled = note.unsettled.into_iter().map(Into::into).collect();
    Ok(Kept { terms: Terms { query, attempts_max, answer_within }, read: note.read, unsettled })
}

fn unreadable(name: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable { why: format!("the note `{name}` cannot be read: {why}") }
}

fn item(item: &QueryItem) -> NoteItem {
    let (category, stream) = match &item.within {
        Within::Log => (None, None),
        Within::Category(category) => (Some(category.to_string()), None),
        Within::Stream(stream) => (None, Some(stream.to_string())),
    };
    let types = item.types.iter().map(ToString::to_string).collect();
    NoteItem { types, tags: item.tags.iter().map(ToString::to_string).collect(), category, stream }
}

fn query_item(note: NoteItem) -> Result<QueryItem, Invalid> {
    let tags = note.tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, _>>()?;
    let item = QueryItem::new().types(note.types).tags(tags);
    Ok(match (note.category, note.stream) {
        (Some(category), _) => item.category(category),
        (None, Some(stream)) => item.stream(StreamId::new(stream)?),
        (None, None) => item,
    })
}

impl From<Unsettled> for NoteUnsettled {
    fn from(unsettled: Unsettled) -> Self {
        let Unsettled { position, stream, attempts, parked } = unsettled;
        Self { position, stream: stream.as_ref().to_owned(), attempts, parked }
    }
}

impl From<NoteUnsettled> for Unsettled {
    fn from(note: NoteUnsettled) -> Self {
        let NoteUnsettled { position, stream, attempts, parked } = note;
        Self { position, stream: stream.into(), attempts, parked }
    }
}
