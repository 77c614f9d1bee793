//! The ports: what a store can do for the framework.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    append::{Append, Appended, Key, Outcome},
    error::{AppendError, StoreError},
    event::{EventId, Timestamp},
    position::{Cursor, Position, Version},
    query::Query,
    read::Read,
    recorded::RecordedEvent,
    statistics::Statistics,
    stream::StreamId,
};

/// An append-only log of events in streams, with one total order.
///
/// Every implementation passes one conformance suite. The rules behind the methods:
///
/// - An acknowledged append is durable as the store was told to make it; positions are dense and in commit order.
/// - No answer, whether events, conflicts or repeated outcomes, describes anything that is not yet durable.
/// - Dropping the future of an append leaves its outcome unknown: repeat it with the same key.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Records an append whole or not at all.
    ///
    /// Key first: if the key is recorded with the same fingerprint the recorded answer comes back, whatever the
    /// streams look like by now. Then the entries in order, each seeing those before it. Then the conditions in order,
    /// none of which sees the append's own events.
    ///
    /// # Errors
    /// Each kind of [`AppendError`] says what to do about it.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// What is recorded under a key.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError>;

    /// Begins a finite read. A stream that does not exist has no events.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when a query breaks a rule; otherwise when it cannot be read.
    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError>;

    /// Follows the events that match a query behind `after`: first history, then what is recorded from now on, in order,
    /// without a gap or a repetition.
    ///
    /// A cursor from before the log was restored is as good as one of now if nothing that it has seen was lost.
    ///
    /// # Errors
    /// [`StoreError::ForeignCursor`] when the cursor does not belong to this log, [`StoreError::Invalid`] when the query
    /// breaks a rule.
    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError>;

    /// The last durable position.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told.
    async fn head(&self) -> Result<Cursor, StoreError>;

    /// The last position whose event was recorded before `time`: reading behind it begins with the first event of that time
    /// or later.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read.
    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError>;

    /// What the store holds and what that costs.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told.
    async fn statistics(&self) -> Result<Statistics, StoreError>;
}

/// A finite read in progress.
#[async_trait]
pub trait Batches: Send {
    /// The head of the log when the read began: everything up to there is part of the read, nothing behind it. It is what a
    /// decision that rests on a whole read puts into the condition of its append.
    fn head(&self) -> Cursor;

    /// The next events, in order; empty when there are no more. Batches are of a size that suits the store. Cancel-safe:
    /// dropping the future loses nothing.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read. Events before a damaged one are delivered first.
    async fn next(&mut self) -> Result<Vec<RecordedEvent>, StoreError>;
}

/// What a subscription delivers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// Events in order, at least one.
    Events(Vec<RecordedEvent>),
    /// Everything up to here has been delivered and there is nothing more at present. Comes once at each edge: when
    /// history ends, and again after each time that the subscriber has caught up with new events.
    CaughtUp(Cursor),
    /// Nothing between the last delivery and here matches the query. Comes now and then while only others' events are
    /// recorded, and soon after the log has come to rest, so that a consumer which saves it need not pass over the same
    /// events again. What was said to be caught up still is.
    Checkpoint(Cursor),
}

/// A subscription in progress. Dropping it ends it.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next delivery. Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the store closes; otherwise as for reading.
    async fn next(&mut self) -> Result<Delivery, StoreError>;
}

/// A folded state, stored so that a stream need not be read from its beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The last event that is folded in.
    pub version: Version,
    /// The identity of that event: a snapshot of another history does not fit.
    pub event_id: EventId,
    /// What shape the state has; the caller compares it with its own.
    pub schema: String,
    /// The state, encoded.
    pub state: Bytes,
}

/// A cache of folded states. Losing all of it costs time, never an event.
///
/// A snapshot is valid only for its stream, its version and the identity of the event at that version: whoever loads one
/// reads the stream from that very event on, and falls back to the whole stream if another event stands there.
#[async_trait]
pub trait Snapshots: Send + Sync + 'static {
    /// The last snapshot saved for a stream, if it is still there.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read; the caller then reads the stream from its beginning.
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Replaces the snapshot of a stream.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written; the caller may ignore it.
    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError>;
}

/// Small durable notes of consumers that no replay can derive: how far the outbox has come.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// The note saved under a name.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError>;

    /// Replaces the note under a name, durably.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError>;
}

/// The same place in the log as it is now, of a cursor that may be from before the log was restored from a backup: it is good
/// as long as nothing that it has seen was lost.
///
/// # Errors
/// [`StoreError::ForeignCursor`] when it has seen what this log does not have; otherwise when that cannot be told.
pub async fn locate(log: &(impl EventStore + ?Sized), cursor: Cursor) -> Result<Cursor, StoreError> {
    let head = log.head().await?;
    if cursor.fits(&head) {
        return Ok(cursor);
    }
    // Whoever keeps the log knows what it was restored from, and follows it from there or refuses.
    log.subscribe(Query::all(), cursor).await?;
    Ok(head.at(cursor.position))
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStore for Arc<S> {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        (**self).append(append).await
    }
    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        (**self).outcome(key).await
    }
    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        (**self).read(read).await
    }
    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        (**self).subscribe(query, after).await
    }
    async fn head(&self) -> Result<Cursor, StoreError> {
        (**self).head().await
    }
    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        (**self).position_before(time).await
    }
    async fn statistics(&self) -> Result<Statistics, StoreError> {
        (**self).statistics().await
    }
}
