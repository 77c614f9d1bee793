//! When a folded state is kept, so that a stream need not be read from its beginning, and when a kept one is believed.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
};

use annalist_core::{EventId, Snapshot, Version};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::Aggregate;
use crate::event::EventSet;

/// Largest state that is kept, in bytes, encoded. What is larger is folded anew each time; it should not be an aggregate.
const STATE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// When snapshots of an aggregate are taken, and which ones fit.
///
/// A snapshot is a cache. It is used only if its category, its version and the names and versions of the events are the
/// declared ones, and the event that it ends with is in the stream; otherwise the stream is read from its beginning. So a
/// new event, or a new version of one, makes old snapshots void by itself.
///
/// ```
/// # use annalist::SnapshotPolicy;
/// let policy = SnapshotPolicy::every(500).or_bytes(256 * 1024).version(2);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a policy does nothing until it is given to an app"]
pub struct SnapshotPolicy {
    every: u64,
    bytes: u64,
    version: u32,
}

impl SnapshotPolicy {
    /// A snapshot whenever so many events (at least one) have been added since the last one. It has version 1.
    pub const fn every(events: u64) -> Self {
        Self { every: if events == 0 { 1 } else { events }, bytes: u64::MAX, version: 1 }
    }

    /// A snapshot whenever payloads of so many bytes have been added since the last one. It has version 1.
    pub const fn every_bytes(bytes: u64) -> Self {
        Self { every: u64::MAX, bytes, version: 1 }
    }

    /// Also whenever payloads of so many bytes have been added, however few events that are.
    pub const fn or_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// Increment the version whenever the same events of the same versions would give another state: when fields of the
    /// state change, and when `evolve` or an upcast does something else than before. Snapshots of other versions are
    /// passed over.
    pub const fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }
}

/// The policies of all aggregates that have one.
#[derive(Default)]
pub(crate) struct SnapshotRules {
    rules: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
    categories: Vec<&'static str>,
}

impl SnapshotRules {
    /// Adds a rule. There is one snapshot for a stream, so states that are folded from one category cannot both have
    /// them: then the category comes back.
    pub(crate) fn add<A: Aggregate + Serialize + DeserializeOwned>(
        &mut self,
        policy: SnapshotPolicy,
    ) -> Result<(), &'static str> {
        let category = A::Event::CATEGORY;
        if self.categories.contains(&category) {
            return Err(category);
        }
        self.categories.push(category);
        let schema = format!("{category}/{}/{}", policy.version, fingerprint(A::Event::TYPES));
        let SnapshotPolicy { every, bytes, .. } = policy;
        let rule = Rule::<A> { every, bytes, schema, encode: encode::<A>, decode: decode::<A> };
        self.rules.insert(TypeId::of::<A>(), Box::new(rule));
        Ok(())
    }

    pub(super) fn rule<A: Aggregate>(&self) -> Option<&Rule<A>> {
        self.rules.get(&TypeId::of::<A>())?.downcast_ref()
    }
}

/// A policy together with what it takes to carry it out, so that states without snapshots need not be `Serialize`.
pub(super) struct Rule<A> {
    every: u64,
    bytes: u64,
    schema: String,
    encode: fn(&A) -> Option<Vec<u8>>,
    decode: fn(&[u8]) -> Option<A>,
}

impl<A> Rule<A> {
    /// Whether a snapshot is due when so many events, with payloads of so many bytes, came behind the last one.
    pub(super) const fn is_due(&self, events: u64, bytes: u64) -> bool {
        events >= self.every || bytes >= self.bytes
    }

    pub(super) fn take(&self, state: &A, version: Version, event_id: EventId) -> Option<Snapshot> {
        let state = (self.encode)(state)?.into();
        Some(Snapshot { version, event_id, schema: self.schema.clone(), state })
    }

    /// The state in a snapshot, if it is one of ours. Whether it is one of this stream is for the caller to see.
    pub(super) fn open(&self, snapshot: &Snapshot) -> Option<A> {
        (snapshot.schema == self.schema).then(|| (self.decode)(&snapshot.state)).flatten()
    }
}

/// The first half of a hash of the names and versions of events, in whatever order they are declared.
fn fingerprint(types: &[(&str, u16)]) -> String {
    let mut types = types.to_vec();
    types.sort_unstable();
    let mut hash = Sha256::new();
    for (name, version) in types {
        hash.update(format!("{name}/{version}\n"));
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (half, _) = hash.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    format!("{:032x}", u128::from_be_bytes(*half))
}

const fn format() -> impl bincode::config::Config {
    // The limit keeps bytes of another shape from being read as a huge length.
    bincode::config::standard().with_limit::<STATE_BYTES_MAX>()
}

fn encode<A: Serialize>(state: &A) -> Option<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(state, format()).ok()?;
    (bytes.len() <= STATE_BYTES_MAX).then_some(bytes)
}

fn decode<A: DeserializeOwned>(bytes: &[u8]) -> Option<A> {
    let (state, read) = bincode::serde::decode_from_slice(bytes, format()).ok()?;
    (read == bytes.len()).then_some(state)
}

impl fmt::Debug for SnapshotRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.categories).finish()
    }
}
