//! Hot aggregates, kept in memory between commands.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use annalist_core::StreamId;

use super::{Aggregate, Loaded};
use crate::metrics::CacheCounts;

/// Aggregates as they were when a command last used them, the longest unused first to go.
///
/// What is here may be behind its stream, for others write too, but it is never wrong: a state up to a version. A command
/// takes it out, uses it and puts it back further on, so none is shared and none need be copied; whoever comes meanwhile
/// loads one for itself.
pub(crate) struct Cache {
    states_max: usize,
    states: Mutex<States>,
}

#[derive(Default)]
struct States {
    by_key: HashMap<Key, (u64, Box<dyn Any + Send + Sync>)>,
    /// When each was put here, by a clock that ticks with each.
    by_age: BTreeMap<u64, Key>,
    ticks: u64,
    hits: u64,
    misses: u64,
}

/// States of several types may be folded from one stream.
type Key = (TypeId, StreamId);

impl Cache {
    /// A cache for so many states; with none it does nothing.
    pub(crate) fn new(states_max: u32) -> Self {
        Self { states_max: usize::try_from(states_max).unwrap_or(usize::MAX), states: Mutex::default() }
    }

    /// Takes a state out.
    pub(super) fn take<A: Aggregate>(&self, stream: &StreamId) -> Option<Loaded<A>> {
        if self.states_max == 0 {
            return None;
        }
        let mut states = self.states();
        let Some((put, state)) = states.by_key.remove(&key::<A>(stream)) else {
            states.misses += 1;
            return None;
        };
        states.hits += 1;
        states.by_age.remove(&put);
        state.downcast().ok().map(|state| *state)
    }

    /// Puts a state in, unless a later one of the same stream is there.
    pub(super) fn put<A: Aggregate>(&self, stream: &StreamId, loaded: Loaded<A>) {
        if self.states_max == 0 {
            return;
        }
        let mut states = self.states();
        let key = key::<A>(stream);
        if let Some((put, state)) = states.by_key.get(&key) {
            if state.downcast_ref::<Loaded<A>>().is_some_and(|there| there.version >= loaded.version) {
                return;
            }
            let put = *put;
            states.by_age.remove(&put);
        }
        states.ticks += 1;
        let now = states.ticks;
        states.by_age.insert(now, key.clone());
        states.by_key.insert(key, (now, Box::new(loaded)));
        if states.by_key.len() > self.states_max
            && let Some((_, oldest)) = states.by_age.pop_first()
        {
            states.by_key.remove(&oldest);
        }
    }

    /// What was counted up to now.
    pub(super) fn counts(&self) -> CacheCounts {
        let States { hits, misses, ref by_key, .. } = *self.states();
        CacheCounts { hits, misses, cached: by_key.len() as u64 }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key<A: Aggregate>(stream: &StreamId) -> Key {
    (TypeId::of::<A>(), stream.clone())
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("states_max", &self.states_max).finish_non_exhaustive()
    }
}
