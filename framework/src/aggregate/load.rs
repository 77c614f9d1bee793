//! Folding an aggregate from its stream.

use std::sync::Arc;

use annalist_core::{EventId, EventStore, Invalid, Read, RecordedEvent, Snapshots, StoreError, StreamId, Version};
use annalist_metrics::Metrics;
use tracing::Instrument;

use super::{Aggregate, Cache, SnapshotRules, snapshot::Rule};
use crate::{
    event::{DecodeError, EventSet},
    metrics::SnapshotMetrics,
};

/// An aggregate as its stream says it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The state, folded from all events up to `version`.
    pub state: A,
    /// The last event of the stream; zero if it has none.
    pub version: Version,
    /// The version of the snapshot that it began with.
    kept: Version,
    /// Bytes of the payloads that were folded behind that.
    bytes: u64,
}

/// Why an aggregate could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The id cannot be part of a stream's name.
    #[error("the id of the aggregate cannot name a stream")]
    Id(#[from] Invalid),
    /// An event of the stream cannot be read. Nothing is decided on half a history: declare the event.
    #[error("event {version} of stream `{stream}` cannot be read")]
    Unreadable {
        /// The stream.
        stream: StreamId,
        /// The event.
        version: Version,
        /// Why.
        source: DecodeError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoadError {
    /// Whether trying again later may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(StoreError::Unavailable { .. }) => true,
            Self::Id(_) | Self::Unreadable { .. } | Self::Store(_) => false,
        }
    }
}

/// Loads aggregates and keeps snapshots of them.
pub(crate) struct Aggregates {
    pub(crate) events: Arc<dyn EventStore>,
    snapshots: Arc<dyn Snapshots>,
    rules: SnapshotRules,
    cache: Cache,
    measured: SnapshotMetrics,
}

impl Aggregates {
    pub(crate) fn new(
        events: Arc<dyn EventStore>,
        snapshots: Arc<dyn Snapshots>,
        rules: SnapshotRules,
        cache: Cache,
    ) -> Self {
        Self { events, snapshots, rules, cache, measured: SnapshotMetrics::default() }
    }

    /// Adds what was counted up to now.
    pub(crate) fn collect(&self, metrics: &mut Metrics) {
        self.cache.counts().collect(metrics);
        self.measured.collect(metrics);
    }

    /// An aggregate as it was when a command last used it, if it is still there. Its stream may have gone on.
    pub(crate) fn take_cached<A: Aggregate>(&self, stream: &StreamId) -> Option<Loaded<A>> {
        self.cache.take(stream)
    }

    /// Keeps an aggregate for the next command.
    pub(crate) fn cache<A: Aggregate>(&self, stream: &StreamId, loaded: Loaded<A>) {
        self.cache.put(stream, loaded);
    }

    /// Folds a stream: from its snapshot, if there is one that fits, or else from the beginning.
    pub(crate) async fn load<A: Aggregate>(&self, stream: &StreamId) -> Result<Loaded<A>, LoadError> {
        let span = tracing::debug_span!("annalist.aggregate", stream_id = %stream);
        let loading = async {
            if let Some(loaded) = self.load_snapshot(stream).await? {
                return Ok(loaded);
            }
            let mut loaded = Loaded::default();
            self.catch_up(stream, &mut loaded).await?;
            Ok(loaded)
        };
        loading.instrument(span).await
    }

    /// Folds what has been added to the stream since.
    pub(crate) async fn catch_up<A: Aggregate>(
        &self,
        stream: &StreamId,
        loaded: &mut Loaded<A>,
    ) -> Result<(), LoadError> {
        let mut batches = self.events.read(Read::stream(stream.clone(), loaded.version)).await?;
        loop {
            let events = batches.next().await?;
            if events.is_empty() {
                return Ok(());
            }
            loaded.fold(stream, &events)?;
        }
    }

    /// A snapshot with what was added to the stream since, if it is of this stream and this state's shape.
    ///
    /// The stream is read from the snapshot's own event on: if that is not there, with the same identity, the snapshot
    /// belongs to another history (a restored backup, for example).
    async fn load_snapshot<A: Aggregate>(&self, stream: &StreamId) -> Result<Option<Loaded<A>>, LoadError> {
        let Some(rule) = self.rules.rule::<A>() else { return Ok(None) };
        let snapshot = match self.snapshots.load(stream).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%error, "the snapshot cannot be read; the stream is read from its beginning");
                return Ok(None);
            }
        };
        let (version, Some(state)) = (snapshot.version, rule.open(&snapshot)) else {
            self.measured.void.add(1);
            return Ok(None);
        };
        let mut batches = self.events.read(Read::stream(stream.clone(), version.previous())).await?;
        let mut events = batches.next().await?;
        let is_own = |own: &RecordedEvent| (own.version, own.id) == (version, snapshot.event_id);
        if !events.first().is_some_and(is_own) {
            self.measured.void.add(1);
            return Ok(None);
        }
        self.measured.used.add(1);
        let mut loaded = Loaded { state, version, kept: version, bytes: 0 };
        events.remove(0);
        loaded.fold(stream, &events)?;
        loop {
            let events = batches.next().await?;
            if events.is_empty() {
                return Ok(Some(loaded));
            }
            loaded.fold(stream, &events)?;
        }
    }

    /// Keeps a snapshot, if the policy says so; `last` is the identity of the event at `loaded.version`. A snapshot that
    /// cannot be kept is no failure: the events are recorded.
    pub(crate) async fn keep<A: Aggregate>(&self, stream: &StreamId, loaded: &mut Loaded<A>, last: EventId) {
        let events = loaded.version.get().saturating_sub(loaded.kept.get());
        let due = |rule: &&Rule<A>| rule.is_due(events, loaded.bytes);
        let Some(rule) = self.rules.rule::<A>().filter(due) else { return };
        let Some(snapshot) = rule.take(&loaded.state, loaded.version, last) else {
            self.measured.failed.add(1);
            tracing::warn!(stream_id = %stream, "the state is too large for a snapshot, or cannot be written as one");
            return;
        };
        match self.snapshots.save(stream, snapshot).await {
            Ok(()) => {
                self.measured.written.add(1);
                (loaded.kept, loaded.bytes) = (loaded.version, 0);
            }
            Err(error) => {
                self.measured.failed.add(1);
                tracing::warn!(stream_id = %stream, %error, "the snapshot could not be saved");
            }
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    /// Takes in events just recorded by a decision on this state, whose payloads have so many bytes.
    pub(crate) fn evolve(&mut self, events: &[A::Event], bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        for event in events {
            self.state.evolve(event);
            self.version = self.version.next();
        }
    }

    fn fold(&mut self, stream: &StreamId, events: &[RecordedEvent]) -> Result<(), LoadError> {
        for record in events {
            if record.version != self.version.next() {
                let detail = format!("stream `{stream}`: version {} follows {}", record.version, self.version);
                return Err(StoreError::Corrupt { position: record.position, detail }.into());
            }
            let event = A::Event::decode(record.type_name(), record.type_version(), record.payload());
            let unreadable = |source| LoadError::Unreadable { stream: stream.clone(), version: record.version, source };
            self.state.evolve(&event.map_err(unreadable)?);
            self.version = record.version;
            self.bytes = self.bytes.saturating_add(u64::try_from(record.payload().len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
