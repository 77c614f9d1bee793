//! Reading, and what the store holds.

use std::sync::Arc;

use annalist_core::{EventStore as _, Position, Query, Read, RecordedEvent};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{RawQuery, State, rejection::BytesRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    append::json,
    events::EventOut,
    problem::Problem,
    query::{self, Parameters, QueryIn},
};
use crate::{
    limits::{PAGE_BYTES_MAX, PAGE_EVENTS, PAGE_EVENTS_MAX},
    principal::Principal,
};

/// Some events, and where the next ones are.
#[derive(Serialize, ToSchema)]
pub(super) struct Page {
    /// The head of the log when the read began, as a cursor: what a condition on this query takes as its `after`.
    head: String,
    /// The events, in order.
    events: Vec<EventOut>,
    /// Where to go on: the `after`, or `before`, of the next page. Not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A query, and which part of what it finds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryRequest {
    /// Which events.
    query: QueryIn,
    /// Behind which position, oldest first.
    after: Option<u64>,
    /// Before which position, newest first.
    before: Option<u64>,
    /// At most how many events. Default: 100.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// The head of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct HeadOut {
    /// The last durable position.
    position: u64,
    /// The same as a cursor.
    cursor: String,
}

/// What the store holds and what that costs, in bytes.
#[derive(Serialize, ToSchema)]
pub(super) struct StatisticsOut {
    /// How many events there are.
    events: u64,
    /// How many streams have events.
    streams: u64,
    /// The bodies of all events.
    event_bytes: u64,
    /// The log on the disk.
    log_bytes: u64,
    /// The index on the disk.
    index_bytes: u64,
    /// Up to which position the index on the disk covers the log.
    indexed: u64,
}

/// Events by stream, category, types and tags, page by page.
#[utoipa::path(
    get, path = "/v1/events", params(Parameters, query::Page),
    responses(
        (status = 200, description = "Events in order.", body = Page),
        (status = "default", description = "It was refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    Extension(who): Extension<Arc<Principal>>,
    RawQuery(text): RawQuery,
) -> Result<Json<Page>, Problem> {
    let parameters = Parameters::parse(&text.unwrap_or_default())?;
    let number = |text: &Option<String>, default: u64| match text.as_deref() {
        None => Ok(None),
        Some("") => Ok(Some(default)),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Problem::malformed(format!("`{text}` is not a position; write a number"))),
    };
    let (after, before) = (number(&parameters.after, 0)?, number(&parameters.before, u64::MAX)?);
    page(&api, &who, parameters.query()?, after, before, parameters.limit).await
}

/// Events by a query of several items, page by page.
#[utoipa::path(
    post, path = "/v1/query", request_body = QueryRequest,
    responses(
        (status = 200, description = "Events in order.", body = Page),
        (status = "default", description = "It was refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn query(
    State(api): State<Api>,
    Extension(who): Extension<Arc<Principal>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Page>, Problem> {
    let QueryRequest { query, after, before, limit } = json(body)?;
    page(&api, &who, query.try_into()?, after, before, limit).await
}

async fn page(
    api: &Api,
    who: &Principal,
    query: Query,
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<u64>,
) -> Result<Json<Page>, Problem> {
    who.may_query(&query)?;
    let limit = limit.unwrap_or(PAGE_EVENTS);
    if limit == 0 || limit > PAGE_EVENTS_MAX {
        return Err(Problem::malformed(format!("the limit is {limit}; it must be 1 to {PAGE_EVENTS_MAX}")));
    }
    let read = match (after, before) {
        (Some(_), Some(_)) => return Err(Problem::malformed("a read has either `after` or `before`; leave one out")),
        (_, None) => Read::query(query, Position::new(after.unwrap_or(0))),
        (None, Some(before)) => Read::query_backward(query, Position::new(before)),
    };
    let _place = api.answers.begin()?;
    // One more, to know whether there are more.
    let mut batches = api.store.read(read.limit(limit + 1)).await?;
    let head = batches.head().to_string();
    let (mut found, mut bytes, mut more) = (Vec::<RecordedEvent>::new(), 0, false);
    'read: loop {
        let batch = batches.next().await?;
        if batch.is_empty() {
            break;
        }
        for event in batch {
            bytes += event.body_bytes();
            if !found.is_empty() && (found.len() as u64 == limit || bytes > PAGE_BYTES_MAX) {
                more = true;
                break 'read;
            }
            found.push(event);
        }
    }
    let next = found.last().filter(|_| more).map(|last| last.position.get());
    Ok(Json(Page { head, events: found.iter().map(EventOut::from).collect(), next }))
}

/// The last durable position.
#[utoipa::path(
    get, path = "/v1/head",
    responses(
        (status = 200, description = "The head.", body = HeadOut),
        (status = "default", description = "It cannot be told.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn head(State(api): State<Api>) -> Result<Json<HeadOut>, Problem> {
    let head = api.store.head().await?;
    Ok(Json(HeadOut { position: head.position.get(), cursor: head.to_string() }))
}

/// What the store holds and what that costs.
#[utoipa::path(
    get, path = "/v1/statistics",
    responses(
        (status = 200, description = "Counts and sizes.", body = StatisticsOut),
        (status = "default", description = "They cannot be told.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn statistics(State(api): State<Api>) -> Result<Json<StatisticsOut>, Problem> {
    let statistics = api.store.statistics().await?;
    Ok(Json(StatisticsOut {
        events: statistics.events(),
        streams: statistics.streams,
        event_bytes: statistics.event_bytes,
        log_bytes: statistics.log_bytes,
        index_bytes: statistics.index_bytes,
        indexed: statistics.indexed.get(),
    }))
}
