//! What must hold of a store after any fault, whatever the driver was told before.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::{ControlFlow, Range},
    path::Path,
};

use annalist_core::{
    Checkpoints, Direction, EventStore as _, Key, Position, Query, Read, RecordedEvent, SYSTEM_STREAM, Snapshots,
    StoreError, StreamId, Tag, Version,
};
use annalist_store::{KeyValue, OpenError, Store};

use super::{Id, Kind, backups, content::whose, options};

/// What the lives of a store were told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Appends that were acknowledged, with first and last position.
    pub acked: HashMap<Id, (u64, u64)>,
    /// Appends whose outcome is unknown.
    pub unknown: HashSet<Id>,
    /// Appends that were refused.
    pub refused: HashSet<Id>,
    /// The last note that was saved under each name.
    pub notes: HashMap<String, Id>,
    /// Where the log ended at the last audit.
    pub head: u64,
    /// Backups that were made: their number, where they end, and the last position that was acknowledged before they were begun.
    pub backups: Vec<(u64, u64, u64)>,
    /// That last position, of a backup that has been begun.
    pub before_backup: u64,
    /// Where a store ends that was restored.
    pub restored: Option<u64>,
}

pub(super) fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

pub(super) fn failed(what: &str) -> impl FnOnce(StoreError) -> String {
    move |error| format!("{what}: {error:?}")
}

/// Opens what is in `root` and checks it against the ledger.
///
/// # Errors
/// What does not hold.
pub async fn audit(root: &Path, ledger: &mut Ledger, seed: u64) -> Result<(), String> {
    let store =
        Store::open_with(root.join("store"), options(seed)).map_err(|error| format!("it does not open: {error:?}"))?;
    let events = collect(&store, Read::all(Position::ZERO)).await?;
    let head = store.head().await.map_err(failed("the head"))?.position.get();
    ensure(events.len() as u64 == head, || format!("{} events up to {head}", events.len()))?;
    ensure(head >= ledger.head, || format!("the log shrank from {} to {head}", ledger.head))?;
    ledger.head = head;
    let found = commits(&events)?;
    keys(&store, ledger, &found).await?;
    conditions(&store, &events, &found).await?;
    streams(&store, &events).await?;
    notes(&store, ledger, head).await?;
    view(&root.join("view"), &events)?;
    backups::audit(root, ledger, &events, seed).await?;
    let verified = store.verify(Position::ZERO, |_| ControlFlow::Continue(())).await.map_err(failed("verifying"))?;
    ensure(verified.is_sound() && verified.is_complete(), || format!("verifying: {verified:?}"))?;
    store.close().await.map_err(failed("closing"))
}

pub(super) async fn collect(store: &Store, read: Read) -> Result<Vec<RecordedEvent>, String> {
    let mut read = store.read(read).await.map_err(failed("a read"))?;
    let mut events = Vec::new();
    loop {
        let batch = read.next().await.map_err(failed("a read"))?;
        if batch.is_empty() {
            return Ok(events);
        }
        events.extend(batch);
    }
}

/// Positions dense, time in order, every event what it was, every append whole and in one piece. Returns where each is.
fn commits(events: &[RecordedEvent]) -> Result<BTreeMap<Id, (u64, u64)>, String> {
    let mut found: BTreeMap<Id, (u64, u64)> = BTreeMap::new();
    for (event, position) in events.iter().zip(1..) {
        ensure(event.position.get() == position, || format!("position {} instead of {position}", event.position))?;
        if event.stream() == SYSTEM_STREAM {
            continue;
        }
        let (id, part) = whose(event.payload()).ok_or_else(|| format!("the bytes of event {position} are wrong"))?;
        let place = found.entry(id).or_insert((position, position));
        ensure(place.0 + part == position, || {
            format!("part {part} of {id} at {position}, which begins at {}", place.0)
        })?;
        place.1 = position;
    }
    ensure(events.is_sorted_by_key(|event| event.time), || "time goes backwards".to_owned())?;
    for (id, (first, last)) in &found {
        let count = last - first + 1;
        ensure(count == id.event_count(), || format!("{id} has {count} events of {}", id.event_count()))?;
    }
    Ok(found)
}

/// What was acknowledged is there, what was refused is not, and keys remember what is.
async fn keys(store: &Store, ledger: &Ledger, found: &BTreeMap<Id, (u64, u64)>) -> Result<(), String> {
    for (id, places) in &ledger.acked {
        let there = found.get(id);
        let is_there = if id.kind() == Kind::Bare { places.0 == places.1 } else { there == Some(places) };
        ensure(is_there, || format!("{id} was acknowledged at {places:?} and is at {there:?}"))?;
    }
    let repeated = |id: &Id| Id { number: id.number + 12, ..*id }.kind() == Kind::Again;
    let refused = ledger.refused.iter().filter(|id| !repeated(id));
    for id in refused {
        ensure(!found.contains_key(id), || format!("{id} was refused and is recorded"))?;
        let outcome = store.outcome(&key(*id)).await.map_err(failed("a key"))?;
        ensure(outcome.is_none(), || format!("{id} was refused and its key is recorded"))?;
    }
    let bare = ledger.acked.iter().filter(|(id, _)| id.kind() == Kind::Bare);
    for (id, places) in found.iter().chain(bare) {
        let outcome = store.outcome(&key(*id)).await.map_err(failed("a key"))?;
        let outcome = outcome.ok_or_else(|| format!("the key of {id} is forgotten"))?;
        let recorded = (outcome.appended.after.next().get(), outcome.appended.cursor.position.get());
        ensure(recorded == *places, || format!("the key of {id} says {recorded:?} instead of {places:?}"))?;
        ensure(outcome.reply == id.to_string().as_bytes(), || format!("the key of {id} has another reply"))?;
    }
    Ok(())
}

fn key(id: Id) -> Key {
    Key::new("faults", id.to_string()).expect("a short name")
}

/// Of two appends with one tag one is recorded, and queries find it.
async fn conditions(store: &Store, events: &[RecordedEvent], found: &BTreeMap<Id, (u64, u64)>) -> Result<(), String> {
    let mut tags: HashMap<String, u64> = HashMap::new();
    for (id, (first, _)) in found.iter().filter(|(id, _)| id.kind() == Kind::Unique) {
        let other = tags.insert(id.tag(), *first);
        ensure(other.is_none(), || format!("the condition of {id} did not hold: {other:?}"))?;
    }
    for (tag, position) in tags {
        let query = Query::tags([Tag::new(tag.as_str()).expect("a short name")]);
        let hits = collect(store, Read::query(query, Position::ZERO)).await?;
        let hits: Vec<u64> = hits.iter().map(|event| event.position.get()).collect();
        ensure(hits == [position], || format!("the query for {tag} finds {hits:?} instead of {position}"))?;
    }
    let in_log = events.iter().filter(|event| event.category() == "crash");
    let by_query = collect(store, Read::query(Query::category("crash"), Position::ZERO)).await?;
    ensure(in_log.eq(&by_query), || "a query by category and the log disagree".to_owned())
}

/// Versions are contiguous, streams are read as the log has them, snapshots fit.
async fn streams(store: &Store, events: &[RecordedEvent]) -> Result<(), String> {
    let mut streams: BTreeMap<&str, Vec<&RecordedEvent>> = BTreeMap::new();
    for event in events {
        let stream = streams.entry(event.stream()).or_default();
        stream.push(event);
        let expected = stream.len() as u64;
        ensure(event.version.get() == expected, || {
            format!("version {} of {} instead of {expected}", event.version, event.stream())
        })?;
    }
    for (name, expected) in streams.into_iter().filter(|(name, _)| *name != SYSTEM_STREAM) {
        let stream = StreamId::new(name).expect("a recorded name");
        let read = collect(store, Read::stream(stream.clone(), Version::ZERO)).await?;
        ensure(read.iter().eq(expected.iter().copied()), || format!("the stream {name} and the log disagree"))?;
        let Some(snapshot) = Snapshots::load(store, &stream).await.map_err(failed("a snapshot"))? else { continue };
        let at = usize::try_from(snapshot.version.get()).unwrap_or(usize::MAX);
        let event =
            expected.get(at.wrapping_sub(1)).ok_or_else(|| format!("the snapshot of {name} is of version {at}"))?;
        let state = format!("{name} {}", event.version);
        ensure(event.id == snapshot.event_id && snapshot.state == state.as_bytes(), || {
            format!("the snapshot of {name} does not fit: {snapshot:?}")
        })?;
    }
    Ok(())
}

/// Notes are never older than the last one that was saved, nor ahead of the log.
async fn notes(store: &Store, ledger: &Ledger, head: u64) -> Result<(), String> {
    for (name, saved) in &ledger.notes {
        let note = Checkpoints::load(store, name).await.map_err(failed("a note"))?;
        let note = note.ok_or_else(|| format!("the note {name} is lost"))?;
        let text = String::from_utf8_lossy(&note);
        let (id, position) = text.split_once(' ').ok_or_else(|| format!("the note {name} is {text}"))?;
        let id = Id::parse(id).ok_or_else(|| format!("the note {name} is {text}"))?;
        ensure(id >= *saved, || format!("the note {name} is {id}, and {saved} was saved"))?;
        let position: u64 = position.parse().map_err(|_| format!("the note {name} is {text}"))?;
        ensure(position <= head, || format!("the note {name} is ahead of the log: {position} of {head}"))?;
    }
    Ok(())
}

/// Rows and cursor of the view belong together, and neither is ahead of the log. A view that cannot be trusted says so and is
/// removed: it is replayed.
fn view(dir: &Path, events: &[RecordedEvent]) -> Result<(), String> {
    let view = match KeyValue::open(dir) {
        Err(OpenError::Damaged(_)) => return std::fs::remove_dir_all(dir).map_err(|error| error.to_string()),
        opened => opened.map_err(|error| format!("the view does not open: {error:?}"))?,
    };
    let cursor = view.get(b"cursor").map_err(failed("the view"))?;
    let cursor =
        cursor.as_deref().and_then(|bytes| bytes.as_array::<8>()).map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let cursor = usize::try_from(cursor).unwrap_or(usize::MAX);
    let range: Range<&[u8]> = b"row-".as_slice()..b"row.".as_slice();
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    let scanned = view.read(|snapshot| snapshot.scan(range, Direction::Forward, &mut visit));
    scanned.and_then(|scanned| scanned).map_err(failed("the view"))?;
    ensure(cursor <= events.len(), || format!("the view is ahead of the log: {cursor} of {}", events.len()))?;
    ensure(rows.len() == cursor, || format!("the view has {} rows and its cursor is {cursor}", rows.len()))?;
    for ((key, value), event) in rows.iter().zip(events) {
        let fits = key.ends_with(&event.position.get().to_be_bytes()) && value == event.id.uuid().as_bytes();
        ensure(fits, || format!("the view has another row at {}", event.position))?;
    }
    view.close().map_err(failed("closing the view"))
}
