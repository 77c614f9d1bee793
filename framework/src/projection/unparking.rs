//! What people do about parked events. The runner does it for them, between two of its batches: it alone writes to the
//! live instance, so no event of a key can slip past while those before it are applied.

use annalist_core::{Cursor, EventStore, Position, Read, RecordedEvent, StoreError, Timestamp};
use tokio::sync::oneshot;

use super::{
    instance::{Failure, Fault, Instance, chain, located, parked_keys},
    model::ModelError,
    parking::{Parked, ParkedKeys},
};

/// Why nothing could be done about parked events, or not all.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParkedError {
    /// No event of the key is parked. List what is.
    #[error("the projection `{name}` has no parked events of the key `{key}`")]
    NoneParked {
        /// The projection.
        name: &'static str,
        /// The key that was asked for.
        key: String,
    },
    /// An event could not be applied this time either; those before it were. Mend the projection, or discard the event.
    #[error("{applied} parked events of the key `{key}` were applied, then event {position} failed again: {error}")]
    Failed {
        /// The key.
        key: String,
        /// How many were applied, and are no longer parked.
        applied: u64,
        /// The event.
        position: Position,
        /// What went wrong.
        error: String,
    },
    /// The read model or the log failed. What was done is kept; try again.
    #[error("the parked events of the projection `{name}` are out of reach: {error}")]
    OutOfReach {
        /// The projection.
        name: &'static str,
        /// What went wrong.
        error: String,
    },
    /// The projections were shut down.
    #[error("the projection `{name}` was shut down")]
    Stopped {
        /// The projection.
        name: &'static str,
    },
}

/// Where an answer goes; whoever asked may be gone.
type Reply<T> = oneshot::Sender<Result<T, ParkedError>>;

/// What a runner is asked about parked events.
pub(super) enum ParkedRequest {
    List { after: Option<(String, Position)>, limit: usize, reply: Reply<Vec<Parked>> },
    Retry { key: String, reply: Reply<u64> },
    Discard { key: String, through: Position, reply: Reply<u64> },
}

/// Parked events of one key that are applied or discarded in one transaction, at most.
const TOGETHER_MAX: usize = 1000;

/// The parked events of an instance, in the hands of its runner.
pub(super) struct Unparking<'a> {
    pub(super) name: &'static str,
    pub(super) instance: &'a dyn Instance,
    pub(super) events: &'a dyn EventStore,
    pub(super) parked: &'a mut ParkedKeys,
    pub(super) now: Timestamp,
}

impl Unparking<'_> {
    pub(super) async fn answer(&mut self, request: ParkedRequest) {
        match request {
            ParkedRequest::List { after, limit, reply } => {
                let after = after.as_ref().map(|(key, position)| (key.as_str(), *position));
                let listed = self.instance.parked(after, limit).await;
                drop(reply.send(listed.map_err(|error| self.out_of_reach(chain(&error)))));
            }
            ParkedRequest::Retry { key, reply } => drop(reply.send(self.retry(&key).await)),
            ParkedRequest::Discard { key, through, reply } => drop(reply.send(self.discard(&key, through).await)),
        }
    }

    /// Applies the parked events of a key in order; tells how many.
    async fn retry(&mut self, key: &str) -> Result<u64, ParkedError> {
        let cursor = self.cursor().await?;
        let mut applied = 0;
        loop {
            let page = self.of_key(key, Position::MAX).await?;
            if page.is_empty() {
                return self.done(key, applied).await;
            }
            let events = self.read(&page).await.map_err(|error| self.out_of_reach(error.to_string()))?;
            let (mut rest, mut count) = (events.as_slice(), events.len());
            while let Some((batch, behind)) = rest.split_at_checked(count)
                && !batch.is_empty()
            {
                match self.instance.unpark(key, batch, cursor).await {
                    Ok(()) => {
                        applied += self.removed(key, batch.len());
                        (rest, count) = (behind, behind.len());
                    }
                    Err(Failure { at: Some((index, _)), .. }) if index > 0 => count = index,
                    Err(failure) => return Err(self.failed(&page, applied, failure).await),
                }
            }
        }
    }

    /// Notes that an event failed again.
    async fn failed(&mut self, page: &[Parked], applied: u64, failure: Failure) -> ParkedError {
        let Failure { at, error, fault, .. } = failure;
        let event = at.and_then(|(_, position)| page.iter().find(|parked| parked.position == position));
        let failed = match event.filter(|_| fault == Fault::Event) {
            Some(Parked { key, position, attempts, .. }) => {
                let (key, position, attempts) = (key.clone(), *position, attempts.saturating_add(1));
                let note = Parked { key: key.clone(), position, error: Some(error.clone()), attempts, time: self.now };
                if let Err(Failure { error, .. }) = self.instance.note(&note).await {
                    tracing::warn!(projection = self.name, key, error, "that an event failed again was not noted");
                }
                ParkedError::Failed { key, applied, position, error }
            }
            None => self.out_of_reach(error),
        };
        self.look_again().await;
        failed
    }

    /// Removes the notes of a key's parked events up to a position; tells how many.
    async fn discard(&mut self, key: &str, through: Position) -> Result<u64, ParkedError> {
        self.cursor().await?;
        let mut discarded = 0;
        loop {
            let page = self.of_key(key, through).await?;
            if page.is_empty() {
                return self.done(key, discarded).await;
            }
            let positions: Vec<_> = page.iter().map(|parked| parked.position).collect();
            let forgotten = self.instance.forget(key, &positions).await;
            forgotten.map_err(|failure| self.out_of_reach(failure.error))?;
            for Parked { position, error, attempts, .. } in &page {
                tracing::warn!(projection = self.name, key, %position, error, attempts, "a parked event is discarded");
            }
            discarded += self.removed(key, page.len());
        }
    }

    /// The cursor of the instance, if it is one of this log: the positions are not, otherwise.
    async fn cursor(&self) -> Result<Cursor, ParkedError> {
        let cursor = self.instance.cursor().await.map_err(|error| self.out_of_reach(chain(&error)))?;
        let farthest = self.instance.farthest().await.map_err(|error| self.out_of_reach(chain(&error)))?;
        located(self.events, cursor, farthest).await.map_err(|error| self.out_of_reach(error.to_string()))
    }

    /// The first parked events of a key.
    async fn of_key(&self, key: &str, through: Position) -> Result<Vec<Parked>, ParkedError> {
        let page = self.instance.parked(Some((key, Position::ZERO)), TOGETHER_MAX).await;
        let mut page = page.map_err(|error: ModelError| self.out_of_reach(chain(&error)))?;
        // Behind the last of the key stands the first of the next.
        let end = page.iter().position(|parked| parked.key != key || parked.position > through);
        page.truncate(end.unwrap_or(page.len()));
        Ok(page)
    }

    /// The events themselves, from the log.
    async fn read(&self, page: &[Parked]) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events = Vec::with_capacity(page.len());
        for Parked { position, .. } in page {
            let mut batches = self.events.read(Read::all(position.previous()).limit(1)).await?;
            let found = batches.next().await?.into_iter().find(|event| event.position == *position);
            let missing =
                || StoreError::Corrupt { position: *position, detail: "a parked event is missing".to_owned() };
            events.push(found.ok_or_else(missing)?);
        }
        Ok(events)
    }

    fn removed(&mut self, key: &str, events: usize) -> u64 {
        self.parked.remove(key, events as u64);
        events as u64
    }

    async fn done(&mut self, key: &str, events: u64) -> Result<u64, ParkedError> {
        if events > 0 {
            return Ok(events);
        }
        self.look_again().await;
        Err(ParkedError::NoneParked { name: self.name, key: key.to_owned() })
    }

    /// What is known to be parked is read again: a commit whose answer was lost may have come through.
    async fn look_again(&mut self) {
        if let Ok(parked) = parked_keys(self.instance).await {
            *self.parked = parked;
        }
    }

    fn out_of_reach(&self, error: String) -> ParkedError {
        ParkedError::OutOfReach { name: self.name, error }
    }
}
