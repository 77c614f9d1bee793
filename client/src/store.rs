//! The handle, and how it implements the ports.

use std::sync::Arc;

use annalist_core::{
    Append, AppendError, Appended, Batches, Checkpoints, Cursor, EventStore, Invalid, Key, Outcome, Position, Query,
    Read, Snapshot, Snapshots, Statistics, StoreError, StreamId, Subscription, Timestamp, TraceContext,
};
use annalist_proto::{encode_append, v1};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    address::AddressError,
    failure::Failure,
    limits::PIPELINE_APPEND_BYTES_MAX,
    options::RemoteOptions,
    read,
    remote::{Again, Asked, Remote},
    subscription,
};

/// A store that runs as a server. Cloning is cheap; clones share the connections.
///
/// What is asked is asked again while the server cannot be reached, until [`RemoteOptions::call_timeout`] is over. An append
/// is sent again after its answer was lost only if it has a key, and is recorded once; if an earlier attempt was recorded, the
/// answer is marked as repeated. Without a key it is [`AppendError::Unknown`] whether it was recorded.
#[derive(Clone, Debug)]
pub struct RemoteStore {
    remote: Arc<Remote>,
}

impl RemoteStore {
    /// The server at an address such as `http://127.0.0.1:2665`. Must be called within a Tokio runtime; it connects when it is
    /// first used.
    ///
    /// # Errors
    /// [`AddressError`] when the address cannot be one.
    pub fn connect(address: &str) -> Result<Self, AddressError> {
        Self::connect_with(address, RemoteOptions::default())
    }

    /// [`RemoteStore::connect`] with other options.
    ///
    /// # Errors
    /// As [`RemoteStore::connect`].
    pub fn connect_with(address: &str, options: RemoteOptions) -> Result<Self, AddressError> {
        Ok(Self { remote: Arc::new(Remote::new(address, options)?) })
    }

    pub(crate) const fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// Asks this with each request which trace it is part of, in the task of who calls, and tells the server, whose spans go on
    /// there. For all handles of this client, and for good: who says so first is asked.
    pub fn trace_with(&self, current: impl Fn() -> Option<TraceContext> + Send + Sync + 'static) {
        self.remote.trace_with(Box::new(current));
    }

    /// Closes this client for all its handles: everything answers [`StoreError::Closed`] from now on, also what is waited
    /// for. The server goes on.
    pub fn close(&self) {
        self.remote.close();
    }
}

/// An answer without the field that it is about.
fn missing(what: &str) -> StoreError {
    Failure::incomprehensible(&format!("it has no {what}")).into_store_error()
}

fn incomprehensible(error: &Invalid) -> StoreError {
    Failure::incomprehensible(error).into_store_error()
}

/// Asks for something that changes nothing, or that may be done twice.
macro_rules! ask {
    ($self:ident, $service:ident.$method:ident($request:expr)) => {{
        let remote = &$self.remote;
        let attempt = |asked| async move { remote.$service().$method(remote.timed(asked)).await };
        let request = $request;
        let answer = remote.call(|| request.clone(), Again::Harmless, Failure::of_reading, attempt).await;
        answer.map_err(Failure::into_store_error)
    }};
}

#[async_trait]
impl EventStore for RemoteStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let bytes = append.check()?;
        let again = if append.keyed.is_some() || append.event_count() == 0 { Again::Harmless } else { Again::Never };
        let key = append.keyed.as_ref().map(|keyed| &keyed.key);
        let failure = |status| Failure::of(status, &append.conditions, key);
        let (remote, append) = (&self.remote, &append);
        let shares_a_call = bytes <= PIPELINE_APPEND_BYTES_MAX;
        let encoded = if shares_a_call { encode_append(append) } else { Bytes::new() };
        let attempt = |Asked { question: encoded, deadline }| async move {
            let short = remote.short();
            if shares_a_call && short.knows_appends() {
                return short.append(encoded, remote.trace(), || remote.metadata()).await;
            }
            // In a box: what a call of its own needs is large, and most appends would carry room for it around.
            Box::pin(async move {
                let question = v1::AppendRequest::from(append);
                remote.streams().append(remote.timed(Asked { question, deadline })).await
            })
            .await
        };
        let answer = remote.call(|| encoded.clone(), again, failure, attempt).await;
        let answer = answer.map_err(Failure::into_append_error)?;
        let appended = answer.appended.ok_or_else(|| missing("append"))?;
        Ok(appended.try_into().map_err(|error| incomprehensible(&error))?)
    }

    async fn outcome(&self, key: &Key) -> Result<Option<Outcome>, StoreError> {
        let answer = ask!(self, events.outcome(v1::OutcomeRequest { key: Some(key.into()) }))?;
        answer.outcome.map(Outcome::try_from).transpose().map_err(|error| incomprehensible(&error))
    }

    async fn read(&self, read: Read) -> Result<Box<dyn Batches>, StoreError> {
        read::begin(&self.remote, read).await
    }

    async fn subscribe(&self, query: Query, after: Cursor) -> Result<Box<dyn Subscription>, StoreError> {
        subscription::begin(&self.remote, query, after).await
    }

    async fn head(&self) -> Result<Cursor, StoreError> {
        let answer = ask!(self, events.head(v1::HeadRequest {}))?;
        answer.head.ok_or_else(|| missing("head"))?.try_into().map_err(|error| incomprehensible(&error))
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, StoreError> {
        let request = v1::PositionBeforeRequest { time_us: time.as_micros() };
        Ok(Position::new(ask!(self, events.position_before(request))?.position))
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        let answer = ask!(self, events.statistics(v1::StatisticsRequest {}))?;
        answer.try_into().map_err(|error| incomprehensible(&error))
    }
}

#[async_trait]
impl Snapshots for RemoteStore {
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let answer = ask!(self, snapshots.load(v1::LoadSnapshotRequest { stream: stream.to_string() }))?;
        answer.snapshot.map(Snapshot::try_from).transpose().map_err(|error| incomprehensible(&error))
    }

    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        let request = v1::SaveSnapshotRequest { stream: stream.to_string(), snapshot: Some(snapshot.into()) };
        ask!(self, snapshots.save(request)).map(drop)
    }
}

#[async_trait]
impl Checkpoints for RemoteStore {
    async fn load(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(ask!(self, checkpoints.load(v1::LoadCheckpointRequest { name: name.to_owned() }))?.note)
    }

    async fn save(&self, name: &str, note: Bytes) -> Result<(), StoreError> {
        ask!(self, checkpoints.save(v1::SaveCheckpointRequest { name: name.to_owned(), note })).map(drop)
    }
}
