//! A generation: where the events of a stretch of the log stand, by stream, category, type, tag and key. One becomes one
//! index chunk.
//!
//! The sequencer adds, callers look up at the same time. Both hold a shard's lock for one operation on a hash map and
//! never across a read, a write or another lock, so neither waits for what the other waits for.

use std::{
    hash::BuildHasher as _,
    sync::{Arc, atomic::Ordering},
};

use annalist_core::{Key, Position, Version};
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::{
    concurrency::{AtomicU64, AtomicUsize, DefaultHashBuilder, OnceLock, RwLock},
    format::{KeyRow, Kind, Place, Totals},
};

/// Enough that callers on all cores seldom meet in one.
const SHARDS: usize = 64;
/// What a place costs in memory, and what a name costs beside its bytes, about.
const PLACE_BYTES: usize = 16;
const NAME_BYTES: usize = 96;

/// The events of a list in this stretch.
#[derive(Debug)]
struct Run {
    /// In a stream, the version of its first event here.
    first: Version,
    /// Where each stands. Most lists have one event in a stretch: it needs no allocation.
    places: SmallVec<[Place; 1]>,
}

/// Where a generation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    /// Its last position.
    pub(crate) position: Position,
    /// The checksum of the page that ends there.
    pub(crate) checksum: u32,
}

#[derive(Debug, Default)]
struct Shard {
    /// By kind, then by name.
    lists: [HashMap<Arc<str>, Run>; Kind::ALL.len()],
    keys: HashMap<Key, KeyRow>,
}

impl Shard {
    fn lists(&self, kind: Kind) -> &HashMap<Arc<str>, Run> {
        let [stream, category, event_type, tag] = &self.lists;
        match kind {
            Kind::Stream => stream,
            Kind::Category => category,
            Kind::Type => event_type,
            Kind::Tag => tag,
        }
    }

    fn lists_mut(&mut self, kind: Kind) -> &mut HashMap<Arc<str>, Run> {
        let [stream, category, event_type, tag] = &mut self.lists;
        match kind {
            Kind::Stream => stream,
            Kind::Category => category,
            Kind::Type => event_type,
            Kind::Tag => tag,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Generation {
    /// The last position before it.
    floor: Position,
    /// What the log holds up to there.
    before: Totals,
    seal: OnceLock<Seal>,
    shards: Vec<RwLock<Shard>>,
    hasher: DefaultHashBuilder,
    events: AtomicUsize,
    streams: AtomicU64,
    event_bytes: AtomicU64,
    bytes: AtomicUsize,
}

impl Generation {
    /// An empty generation behind a position up to which the log holds this much.
    pub(crate) fn behind(floor: Position, before: Totals) -> Self {
        Self {
            floor,
            before,
            seal: OnceLock::new(),
            shards: std::iter::repeat_with(RwLock::default).take(SHARDS).collect(),
            hasher: DefaultHashBuilder::default(),
            events: AtomicUsize::new(0),
            streams: AtomicU64::new(0),
            event_bytes: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The last position before this generation.
    pub(crate) const fn floor(&self) -> Position {
        self.floor
    }

    /// Where it ends, once it is frozen.
    pub(crate) fn seal(&self) -> Option<Seal> {
        self.seal.get().copied()
    }

    /// Ends it. The first call counts.
    pub(crate) fn freeze(&self, seal: Seal) {
        let _ = self.seal.set(seal);
    }

    pub(crate) fn event_count(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What the log holds up to the last event that was added.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            streams: self.before.streams + self.streams.load(Ordering::Relaxed),
            event_bytes: self.before.event_bytes + self.event_bytes.load(Ordering::Relaxed),
        }
    }

    fn shard(&self, name: &str) -> &RwLock<Shard> {
        let hash = usize::try_from(self.hasher.hash_one(name) >> 32).unwrap_or_default();
        self.shards.get(hash % SHARDS).expect("the remainder is below the number of shards")
    }

    /// Adds events, the next of their stream, whose bodies have this many bytes. Only the sequencer, or recovery, calls this;
    /// it adds the same places to the lists of the category, the types and the tags.
    pub(crate) fn add_events(&self, stream: &str, first: Version, places: &[Place], event_bytes: u64) {
        self.add(Kind::Stream, stream, first, places);
        self.events.fetch_add(places.len(), Ordering::Relaxed);
        self.event_bytes.fetch_add(event_bytes, Ordering::Relaxed);
        self.streams.fetch_add(u64::from(first == Version::new(1)), Ordering::Relaxed);
    }

    /// Adds events to a list that is not a stream's.
    pub(crate) fn add_to_list(&self, kind: Kind, name: &str, places: &[Place]) {
        self.add(kind, name, Version::ZERO, places);
    }

    fn add(&self, kind: Kind, name: &str, first: Version, places: &[Place]) {
        let mut shard = self.shard(name).write();
        let mut bytes = places.len() * PLACE_BYTES;
        let run = shard.lists_mut(kind).entry_ref(name).or_insert_with(|| {
            bytes += name.len() + NAME_BYTES;
            Run { first, places: SmallVec::new() }
        });
        run.places.extend_from_slice(places);
        drop(shard);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds a key. Only the sequencer, or recovery, calls this.
    pub(crate) fn add_key(&self, key: Key, row: KeyRow) {
        self.bytes.fetch_add(key.scope().len() + key.id().len() + NAME_BYTES, Ordering::Relaxed);
        self.shard(key.id()).write().keys.insert(key, row);
    }

    /// The last version of a stream among the events up to `through`, if there is one here.
    pub(crate) fn head(&self, stream: &str, through: Position) -> Option<Version> {
        let shard = self.shard(stream).read();
        let run = shard.lists(Kind::Stream).get(stream)?;
        let visible = count_through(&run.places, through);
        (visible > 0).then(|| Version::new(run.first.get() + visible as u64 - 1))
    }

    /// What is known of a key, if its commit ends at or before `through`.
    pub(crate) fn key(&self, key: &Key, through: Position) -> Option<KeyRow> {
        self.shard(key.id()).read().keys.get(key).copied().filter(|row| row.last() <= through)
    }

    /// Adds to `out` where the events of a stream stand with versions in `from ..= to` and positions up to `through`, in
    /// order, until `out` holds `limit`.
    pub(crate) fn versions(
        &self,
        stream: &str,
        (from, to): (Version, Version),
        through: Position,
        limit: usize,
        out: &mut Vec<(Version, Place)>,
    ) {
        let shard = self.shard(stream).read();
        let Some(run) = shard.lists(Kind::Stream).get(stream) else { return };
        let skip = usize::try_from(from.get().saturating_sub(run.first.get())).unwrap_or(usize::MAX);
        let places = run.places.get(..count_through(&run.places, through)).unwrap_or_default();
        let wanted = (run.first.get()..).zip(places).skip(skip).take(limit.saturating_sub(out.len()));
        out.extend(
            wanted.map(|(version, place)| (Version::new(version), *place)).take_while(|(version, _)| *version <= to),
        );
    }

    /// The first version of a stream here, if it has events up to `through`.
    pub(crate) fn first_version(&self, stream: &str, through: Position) -> Option<Version> {
        let shard = self.shard(stream).read();
        let run = shard.lists(Kind::Stream).get(stream)?;
        (count_through(&run.places, through) > 0).then_some(run.first)
    }

    /// Adds to `out` the first places of a list from `from` to `to`, in order, until `out` holds `limit`.
    pub(crate) fn places_forward(
        &self,
        (kind, name): (Kind, &str),
        (from, to): (Position, Position),
        limit: usize,
        out: &mut Vec<Place>,
    ) {
        let shard = self.shard(name).read();
        let Some(run) = shard.lists(kind).get(name) else { return };
        let range = count_through(&run.places, from.previous())..count_through(&run.places, to);
        let places = run.places.get(range).unwrap_or_default();
        out.extend(places.iter().take(limit.saturating_sub(out.len())));
    }

    /// Adds to `out` the last places of a list from `from` to `to`, newest first, until `out` holds `limit`.
    pub(crate) fn places_backward(
        &self,
        (kind, name): (Kind, &str),
        (from, to): (Position, Position),
        limit: usize,
        out: &mut Vec<Place>,
    ) {
        let shard = self.shard(name).read();
        let Some(run) = shard.lists(kind).get(name) else { return };
        let range = count_through(&run.places, from.previous())..count_through(&run.places, to);
        let places = run.places.get(range).unwrap_or_default();
        out.extend(places.iter().rev().take(limit.saturating_sub(out.len())));
    }

    /// Shows every list of a frozen generation: its kind and name, in a stream the version of its first event here, and where
    /// its events stand.
    pub(crate) fn for_each_list(&self, mut see: impl FnMut(Kind, &str, Version, &[Place])) {
        for shard in &self.shards {
            let shard = shard.read();
            for kind in Kind::ALL {
                for (name, run) in shard.lists(kind) {
                    see(kind, name, run.first, &run.places);
                }
            }
        }
    }

    /// Shows every key of a frozen generation.
    pub(crate) fn for_each_key(&self, mut see: impl FnMut(&Key, &KeyRow)) {
        for shard in &self.shards {
            for (key, row) in &shard.read().keys {
                see(key, row);
            }
        }
    }
}

/// How many of the places are at or before `through`.
fn count_through(places: &[Place], through: Position) -> usize {
    match places {
        [] => 0,
        [.., (last, _)] if *last <= through => places.len(),
        [(first, _), ..] if *first > through => 0,
        _ => places.partition_point(|(position, _)| *position <= through),
    }
}
