//! The streams of the instances of one saga.

use std::{marker::PhantomData, sync::Arc};

use annalist_core::{
    Append, AppendError, Appended, Cursor, EventId, EventStore, Expected, Fingerprint, Key, Position, Read,
    RecordedEvent, StreamId, Timestamp, Version,
};
use uuid::Uuid;

use super::{
    halt::{Halt, Trouble, chain},
    model::Saga,
    name::Names,
    record::{Entry, Held, Kind, Record},
};
use crate::{
    event::{Events, Recorded},
    trace::Tracer,
};

/// See the module.
pub(super) struct Streams<S> {
    pub(super) events: Arc<dyn EventStore>,
    tracer: Tracer,
    saga: PhantomData<fn() -> S>,
}

/// An instance as its last record says.
pub(super) struct Instance {
    pub(super) version: Version,
    pub(super) time: Timestamp,
    pub(super) cursor: Cursor,
    pub(super) entry: Entry,
    /// The record itself.
    pub(super) record: RecordedEvent,
}

/// What is to be recorded.
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) entry: Entry,
    /// The identity of the record.
    pub(super) id: Uuid,
    pub(super) cause: Option<Uuid>,
    /// What makes it recognisable when it comes again: the identity of an input that comes for the first time.
    pub(super) key: Option<(String, Uuid)>,
}

impl<S: Saga> Streams<S> {
    pub(super) const fn new(events: Arc<dyn EventStore>, tracer: Tracer) -> Self {
        Self { events, tracer, saga: PhantomData }
    }

    /// The stream of the instance with this key.
    pub(super) fn of(key: &str) -> Result<StreamId, Halt> {
        StreamId::of(Names::<S>::CATEGORY, key)
            .map_err(|invalid| Halt::Failed(format!("`{key}` cannot be the key of an instance: {invalid}")))
    }

    /// An instance, from its last record.
    pub(super) async fn load(&self, stream: &StreamId) -> Result<Option<Instance>, Trouble> {
        let mut batches = self.events.read(Read::stream_backward(stream.clone(), Version::MAX).limit(1)).await?;
        let Some(last) = batches.next().await?.pop() else { return Ok(None) };
        let cursor = batches.head().at(last.position);
        let Record { entry, .. } = Self::read(&last)?;
        Ok(Some(Instance { version: last.version, time: last.time, cursor, entry, record: last }))
    }

    /// The first input that is still held.
    pub(super) async fn first_held(&self, stream: &StreamId, held: Held) -> Result<(Version, Entry), Trouble> {
        let mut batches = self.events.read(Read::stream(stream.clone(), held.from.previous())).await?;
        loop {
            let batch = batches.next().await?;
            if batch.is_empty() {
                let lost =
                    format!("`{stream}` says that an input is held at version {} or behind, but none is", held.from);
                return Err(Halt::Failed(lost).into());
            }
            for record in batch {
                let Record { kind, entry, .. } = Self::read(&record)?;
                if matches!(kind, Kind::Held | Kind::Quarantined) && entry.input.is_some() {
                    return Ok((record.version, entry));
                }
            }
        }
    }

    /// An event that the saga follows, from the log.
    ///
    /// The inner error says why it cannot be read.
    pub(super) async fn event(
        &self,
        position: Position,
        id: EventId,
    ) -> Result<Result<Recorded<S::Event>, String>, Trouble> {
        let mut batches = self.events.read(Read::all(position.previous()).limit(1)).await?;
        let cursor = batches.head().at(position);
        let Some(record) = batches.next().await?.pop().filter(|record| record.id == id) else {
            return Ok(Err(format!("the event {id} is not at position {position} any more")));
        };
        Ok(match Recorded::decode(record, cursor) {
            Ok(Some(recorded)) => Ok(recorded),
            Ok(None) => Err(format!("the event at position {position} is not one that the saga follows any more")),
            Err(error) => Err(chain(&error)),
        })
    }

    /// Whether an input is recorded already.
    pub(super) async fn is_recorded(&self, stream: &StreamId, identity: &str) -> Result<bool, Trouble> {
        Ok(self.events.outcome(&key(stream, identity)?).await?.is_some())
    }

    /// Records a step behind `version`; `None` if the instance is not there any more, or the input came twice.
    pub(super) async fn append(
        &self,
        stream: &StreamId,
        version: Version,
        step: Step,
    ) -> Result<Option<Cursor>, StepError> {
        let Step { kind, entry, id, cause, key: identity } = step;
        let mut metadata = entry.circumstances.clone();
        metadata.causation_id = cause.map(|cause| cause.to_string());
        self.tracer.fill(&mut metadata, None);
        metadata.actor = entry.audit.as_ref().map(|audit| audit.who.clone());
        let written = Record::<S>::new(kind, entry).write().map_err(|error| StepError::Unrecordable(chain(&error)))?;
        let event = written.with_id(EventId::new(id)).with_metadata(metadata);
        let mut append = Append::new().events(stream.clone(), Expected::Exact(version), [event]);
        if let Some((identity, id)) = identity {
            append = append.keyed(key(stream, &identity)?, Fingerprint::new(*id.as_bytes()), "");
        }
        match self.events.append(append).await {
            Ok(Appended { cursor, repeated: false, .. }) => Ok(Some(cursor)),
            Ok(_) | Err(AppendError::Conflict { .. }) => Ok(None),
            Err(error @ (AppendError::TooLarge { .. } | AppendError::Invalid(_))) => {
                Err(StepError::Unrecordable(chain(&error)))
            }
            Err(error) => Err(StepError::Trouble(error.into())),
        }
    }

    fn read(record: &RecordedEvent) -> Result<Record<S>, Halt> {
        let unreadable = |why: &str| {
            Halt::Failed(format!("the record {} of `{}` cannot be read: {why}", record.version, record.stream()))
        };
        match Record::read(record) {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(unreadable("it is not one of a saga")),
            Err(error) => Err(unreadable(&chain(&error))),
        }
    }
}

/// Why a step could not be recorded.
pub(super) enum StepError {
    /// It is too large, or breaks a rule.
    Unrecordable(String),
    Trouble(Trouble),
}

impl From<Halt> for StepError {
    fn from(halt: Halt) -> Self {
        Self::Trouble(halt.into())
    }
}

fn key(stream: &StreamId, identity: &str) -> Result<Key, Halt> {
    Key::new(stream.as_str(), identity).map_err(|invalid| Halt::Failed(format!("an input has no valid key: {invalid}")))
}
