//! One instance of a projection's rows, as runner and rebuild see it: an object-safe trait, and what can go wrong.

use std::{any::Any, error::Error, sync::Arc};

use annalist_core::{Cursor, EventStore, Position, RecordedEvent, StoreError, Timestamp, locate};
use async_trait::async_trait;

use super::{
    model::{Kept, ModelError, Unfinished},
    parking::{OnFailure, Parked, ParkedKeys},
};

/// See the module.
#[async_trait]
pub(super) trait Instance: Send + Sync {
    /// Applies events in one transaction, or in one for each partition, and commits with the cursor of the last. Those of keys
    /// that are parked are parked too; returns the key of each such event.
    ///
    /// What was decoded before of just these events need not be decoded again.
    async fn apply(
        &self,
        events: &[RecordedEvent],
        decoded: Option<Decoded>,
        cursor: Cursor,
        parking: Option<Parking<'_>>,
    ) -> Result<Vec<String>, Failure>;

    /// Decodes events, which is work for a processor and nothing else. `log` says of which log they are.
    fn decode(&self, events: &[RecordedEvent], log: Cursor) -> Decoded;

    /// Notes the next event as parked in one transaction and commits it with this cursor. Tells whether it did: the event may
    /// have been applied after all, by a transaction whose answer was lost.
    async fn park(&self, parked: &Parked, cursor: Cursor) -> Result<bool, Failure>;

    /// Replaces the note of an event that is parked, and leaves the cursor alone.
    async fn note(&self, parked: &Parked) -> Result<(), Failure>;

    /// Applies parked events of a key in one transaction, which also removes their notes and leaves the cursor alone.
    async fn unpark(&self, key: &str, events: &[RecordedEvent], cursor: Cursor) -> Result<(), Failure>;

    /// Removes the notes of parked events of a key, in one transaction that leaves the cursor alone.
    async fn forget(&self, key: &str, positions: &[Position]) -> Result<(), Failure>;

    async fn parked(&self, after: Option<(&str, Position)>, limit: usize) -> Result<Vec<Parked>, ModelError>;

    fn on_failure(&self) -> OnFailure;
    fn key(&self, event: &RecordedEvent) -> String;

    /// Whether the read model can keep parked events.
    fn can_park(&self) -> bool;

    /// Whether events are applied in several transactions at the same time, of which some may be committed when one fails.
    fn is_split(&self) -> bool;

    async fn cursor(&self) -> Result<Cursor, ModelError>;
    /// How far the partition is that is farthest ahead of the cursor; zero if none is ahead.
    async fn farthest(&self) -> Result<Position, ModelError>;
    async fn is_live(&self) -> Result<bool, ModelError>;
    async fn shadow(&self) -> Result<Arc<dyn Instance>, ModelError>;
    async fn promote(&self, keep_previous: bool) -> Result<(), ModelError>;
    async fn keep(&self, unfinished: Unfinished) -> Result<(), ModelError>;
    async fn kept(&self) -> Result<Vec<(Arc<dyn Instance>, Kept)>, ModelError>;
    /// Whether the read model can keep instances.
    fn can_keep(&self) -> bool;
    async fn discard(&self) -> Result<(), ModelError>;
}

/// The cursor of an instance in the log as it is now, which may have been restored from a backup since: good only if neither it nor
/// a partition that is ahead of it has seen what was lost.
pub(super) async fn located(log: &dyn EventStore, noted: Cursor, farthest: Position) -> Result<Cursor, StoreError> {
    if noted == Cursor::START {
        return Ok(noted);
    }
    let now = locate(log, noted.at(noted.position.max(farthest))).await?;
    Ok(now.at(noted.position))
}

/// Decoded events, of the type that their projection follows.
pub(super) type Decoded = Box<dyn Any + Send>;

/// What is parked already, for a batch that may add to it.
#[derive(Clone, Copy)]
pub(super) struct Parking<'a> {
    pub(super) keys: &'a ParkedKeys,
    pub(super) now: Timestamp,
}

/// Parked events that are read at once.
const PARKED_PAGE: usize = 1000;

/// The keys of all parked events of an instance.
pub(super) async fn parked_keys(instance: &dyn Instance) -> Result<ParkedKeys, ModelError> {
    let mut keys = ParkedKeys::default();
    let mut last = None::<Parked>;
    loop {
        let after = last.as_ref().map(|parked| (parked.key.as_str(), parked.position));
        let page = instance.parked(after, PARKED_PAGE).await?;
        for parked in &page {
            keys.add(parked.key.clone());
        }
        match page.last() {
            Some(parked) if page.len() == PARKED_PAGE => last = Some(parked.clone()),
            _ => return Ok(keys),
        }
    }
}

/// Why a transaction was rolled back.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// Which of the events it was, and its position; `None` if it was none of them.
    pub(super) at: Option<(usize, Position)>,
    /// What is to be done about it.
    pub(super) fault: Fault,
    /// Whether trying again can help.
    pub(super) transient: bool,
    /// What went wrong, with all its causes.
    pub(super) error: String,
}

/// Where a failure comes from. Each leads to another thing that is done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The event: parking it would get the others on.
    Event,
    /// The view belongs to another log: it is to be rebuilt.
    Foreign,
    /// The read model's store is away: it is waited for.
    Outage,
    /// Somebody else has the instance now: it is left to him.
    Fenced,
    /// Something else: the projection stops if trying again does not help.
    Other,
}

impl Failure {
    /// A failure that concerns no single event.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        Self { at: None, fault: Fault::Other, transient: true, error: chain(error) }
    }

    /// The instance is not as its writer knows it: it must look again.
    pub(super) fn moved(error: String) -> Self {
        Self { at: None, fault: Fault::Other, transient: true, error }
    }

    /// A transaction was made for rows that are not those any more.
    pub(super) fn overtaken() -> Self {
        Self::moved("another transaction has changed the view meanwhile".to_owned())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let fault = match &error {
            error if error.is_outage() => Fault::Outage,
            ModelError::Fenced { .. } => Fault::Fenced,
            _ => Fault::Other,
        };
        Self { fault, transient: fault != Fault::Fenced, ..Self::of(&error) }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // A transparent error says what its cause says.
        if !text.ends_with(&cause.to_string()) {
            text = format!("{text}: {cause}");
        }
        source = cause.source();
    }
    text
}
