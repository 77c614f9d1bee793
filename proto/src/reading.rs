//! Reads, subscriptions, statistics, snapshots.

use annalist_core::{
    Cursor, Delivery, Direction, Invalid, Position, Query, Read, RecordedEvent, Snapshot, Source, Statistics,
    StoreError, Version,
};

use crate::{
    cursor::{bytes_of, event_id, malformed, or_start, required},
    query::stream,
    v1,
};

/// Events in a form that a caller asked for.
#[must_use]
pub fn events(events: &[RecordedEvent], form: v1::Form) -> v1::Events {
    match form {
        v1::Form::Fields => v1::Events { recorded: events.iter().map(Into::into).collect(), stored: Vec::new() },
        v1::Form::Stored => v1::Events { recorded: Vec::new(), stored: events.iter().map(Into::into).collect() },
    }
}

/// The events of an answer in the form [`Stored`](v1::Form::Stored).
///
/// # Errors
/// [`StoreError::Corrupt`] when one of them is not an event.
pub fn stored_events(events: v1::Events) -> Result<Vec<RecordedEvent>, StoreError> {
    events.stored.into_iter().map(RecordedEvent::try_from).collect()
}

/// The form that a number of the protocol stands for.
///
/// # Errors
/// [`Invalid`] when it stands for none.
pub fn form(number: i32) -> Result<v1::Form, Invalid> {
    v1::Form::try_from(number).map_err(|_| malformed(format!("{number} is not a form of events")))
}

/// As a request in the form [`Stored`](v1::Form::Stored).
impl From<Read> for v1::ReadRequest {
    fn from(read: Read) -> Self {
        use v1::read_request::Source as Wire;
        let (source, bound) = match read.source {
            Source::All { bound } => (None, bound.get()),
            Source::Stream { stream, bound } => (Some(Wire::Stream(stream.to_string())), bound.get()),
            Source::Query { query, bound } => (Some(Wire::Query(query.into())), bound.get()),
            // `Source` can grow only together with this package.
            _ => (Some(Wire::Query(v1::Query::default())), 0),
        };
        let direction = match read.direction {
            Direction::Forward => v1::Direction::Forward,
            Direction::Backward => v1::Direction::Backward,
        };
        Self {
            source,
            bound: Some(bound),
            direction: direction.into(),
            limit: (read.limit != u64::MAX).then_some(read.limit),
            form: v1::Form::Stored.into(),
        }
    }
}

impl TryFrom<v1::ReadRequest> for Read {
    type Error = Invalid;
    fn try_from(request: v1::ReadRequest) -> Result<Self, Invalid> {
        use v1::read_request::Source as Wire;
        let direction = v1::Direction::try_from(request.direction)
            .map_err(|_| malformed(format!("{} is not a direction", request.direction)))?;
        let direction = match direction {
            v1::Direction::Forward => Direction::Forward,
            v1::Direction::Backward => Direction::Backward,
        };
        let unbounded = if direction == Direction::Forward { 0 } else { u64::MAX };
        let bound = request.bound.unwrap_or(unbounded);
        let position = Position::new(bound);
        let mut read = match request.source {
            None => Self::all(position),
            Some(Wire::Stream(name)) => Self::stream(stream(name)?, Version::new(bound)),
            Some(Wire::Query(query)) => Self::query(Query::try_from(query)?, position),
        };
        read.direction = direction;
        Ok(read.limit(request.limit.unwrap_or(u64::MAX)))
    }
}

/// A request to follow a query, in the form [`Stored`](v1::Form::Stored).
#[must_use]
pub fn subscribe(query: Query, after: Cursor) -> v1::SubscribeRequest {
    v1::SubscribeRequest { query: Some(query.into()), after: Some(after.into()), form: v1::Form::Stored.into() }
}

/// What a request to follow asks for.
///
/// # Errors
/// [`Invalid`] when a name or a cursor in it cannot be one.
pub fn subscribed(request: v1::SubscribeRequest) -> Result<(Query, Cursor), Invalid> {
    let query = request.query.map_or_else(|| Ok(Query::all()), Query::try_from)?;
    Ok((query, or_start(request.after)?))
}

/// A delivery in a form that a caller asked for.
#[must_use]
pub fn delivery(delivered: &Delivery, form: v1::Form) -> v1::subscribe_response::Delivery {
    use v1::subscribe_response::Delivery as Wire;
    match delivered {
        Delivery::Events(found) => Wire::Events(events(found, form)),
        Delivery::CaughtUp(cursor) => Wire::CaughtUp((*cursor).into()),
        Delivery::Checkpoint(cursor) => Wire::Checkpoint((*cursor).into()),
    }
}

impl From<Statistics> for v1::StatisticsResponse {
    fn from(statistics: Statistics) -> Self {
        Self {
            head: Some(statistics.head.into()),
            streams: statistics.streams,
            event_bytes: statistics.event_bytes,
            log_bytes: statistics.log_bytes,
            index_bytes: statistics.index_bytes,
            indexed: statistics.indexed.get(),
        }
    }
}

impl TryFrom<v1::StatisticsResponse> for Statistics {
    type Error = Invalid;
    fn try_from(response: v1::StatisticsResponse) -> Result<Self, Invalid> {
        let mut statistics = Self::at(required("head", response.head)?.try_into()?);
        statistics.streams = response.streams;
        statistics.event_bytes = response.event_bytes;
        statistics.log_bytes = response.log_bytes;
        statistics.index_bytes = response.index_bytes;
        statistics.indexed = Position::new(response.indexed);
        Ok(statistics)
    }
}

impl From<Snapshot> for v1::Snapshot {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { version, event_id, schema, state } = snapshot;
        Self { version: version.get(), event_id: bytes_of(event_id.uuid()), schema, state }
    }
}

impl TryFrom<v1::Snapshot> for Snapshot {
    type Error = Invalid;
    fn try_from(snapshot: v1::Snapshot) -> Result<Self, Invalid> {
        let v1::Snapshot { version, event_id: id, schema, state } = snapshot;
        Ok(Self { version: Version::new(version), event_id: event_id(&id)?, schema, state })
    }
}
