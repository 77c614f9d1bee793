//! A generation: where the events of a stretch of the log stand, by stream and by key. One becomes one index chunk.
//!
//! The sequencer adds, callers look up at the same time. Both hold a shard's lock for one operation on a hash map and
//! never across a read, a write or another lock, so neither waits for what the other waits for.

use std::{
    hash::BuildHasher as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use annalist_core::{Key, Position, Version};
use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::RwLock;

use crate::format::KeyRow;

/// Enough that callers on all cores seldom meet in one.
const SHARDS: usize = 64;
/// What an event costs in memory beside its names, about.
const PLACE_BYTES: usize = 64;

/// A stretch of a stream: the version of its first event here, and where each event stands.
#[derive(Debug)]
struct Run {
    first: Version,
    places: Vec<(Position, u32)>,
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
    streams: HashMap<Arc<str>, Run>,
    keys: HashMap<Key, KeyRow>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Generation {
    /// The last position before it.
    floor: Position,
    seal: OnceLock<Seal>,
    shards: Vec<RwLock<Shard>>,
    hasher: DefaultHashBuilder,
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Generation {
    pub(crate) fn behind(floor: Position) -> Self {
        Self {
            floor,
            seal: OnceLock::new(),
            shards: std::iter::repeat_with(RwLock::default).take(SHARDS).collect(),
            hasher: DefaultHashBuilder::default(),
            events: AtomicUsize::new(0),
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

    fn shard(&self, name: &str) -> &RwLock<Shard> {
        let hash = usize::try_from(self.hasher.hash_one(name) >> 32).unwrap_or_default();
        self.shards.get(hash % SHARDS).expect("the remainder is below the number of shards")
    }

    /// Adds an event: the next of its stream. Only the sequencer, or recovery, calls this.
    pub(crate) fn add_event(&self, stream: &str, version: Version, position: Position, slot: u32) {
        let mut shard = self.shard(stream).write();
        let mut bytes = PLACE_BYTES;
        let run = shard.streams.entry_ref(stream).or_insert_with(|| {
            bytes += stream.len() + PLACE_BYTES;
            Run { first: version, places: Vec::new() }
        });
        debug_assert_eq!(run.first.get() + run.places.len() as u64, version.get(), "versions of a stream are dense");
        run.places.push((position, slot));
        drop(shard);
        self.events.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds a key. Only the sequencer, or recovery, calls this.
    pub(crate) fn add_key(&self, key: Key, row: KeyRow) {
        self.bytes.fetch_add(key.scope().len() + key.id().len() + 2 * PLACE_BYTES, Ordering::Relaxed);
        self.shard(key.id()).write().keys.insert(key, row);
    }

    /// The last version of a stream among the events up to `through`, if there is one here.
    pub(crate) fn head(&self, stream: &str, through: Position) -> Option<Version> {
        let shard = self.shard(stream).read();
        let run = shard.streams.get(stream)?;
        let visible = visible(&run.places, through);
        (visible > 0).then(|| Version::new(run.first.get() + visible as u64 - 1))
    }

    /// What is known of a key, if its commit ends at or before `through`.
    pub(crate) fn key(&self, key: &Key, through: Position) -> Option<KeyRow> {
        self.shard(key.id()).read().keys.get(key).copied().filter(|row| row.last() <= through)
    }

    /// Adds to `out` where the events of a stream stand with versions in `from ..= to` and positions up to `through`, in
    /// order, until `out` holds `limit`.
    pub(crate) fn places(
        &self,
        stream: &str,
        (from, to): (Version, Version),
        through: Position,
        limit: usize,
        out: &mut Vec<(Version, Position, u32)>,
    ) {
        let shard = self.shard(stream).read();
        let Some(run) = shard.streams.get(stream) else { return };
        let skip = usize::try_from(from.get().saturating_sub(run.first.get())).unwrap_or(usize::MAX);
        let places = run.places.get(..visible(&run.places, through)).unwrap_or_default();
        let versions = run.first.get()..;
        let wanted = versions.zip(places).skip(skip).take(limit.saturating_sub(out.len()));
        out.extend(
            wanted
                .map(|(version, (position, slot))| (Version::new(version), *position, *slot))
                .take_while(|(version, ..)| *version <= to),
        );
    }

    /// The first version of a stream here, if it has events up to `through`.
    pub(crate) fn first_version(&self, stream: &str, through: Position) -> Option<Version> {
        let shard = self.shard(stream).read();
        let run = shard.streams.get(stream)?;
        (visible(&run.places, through) > 0).then_some(run.first)
    }

    /// Shows every run of a frozen generation.
    pub(crate) fn for_each_stream(&self, mut see: impl FnMut(&str, Version, &[(Position, u32)])) {
        for shard in &self.shards {
            for (stream, run) in &shard.read().streams {
                see(stream, run.first, &run.places);
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
fn visible(places: &[(Position, u32)], through: Position) -> usize {
    match places.last() {
        Some((last, _)) if *last <= through => places.len(),
        _ => places.partition_point(|(position, _)| *position <= through),
    }
}
