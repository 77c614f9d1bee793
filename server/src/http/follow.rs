//! Subscriptions as server-sent events.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use annalist_core::{Cursor, Delivery, EventStore as _, RecordedEvent, Subscription};
use axum::{
    Extension,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream::unfold};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, cursor, events::EventOut, problem::Problem, query::Parameters, schema::CursorText};
use crate::{answers::Answer, limits::SSE_KEEP_ALIVE, principal::Principal, stopping::Stopping};

/// How far it goes.
#[derive(Serialize, ToSchema)]
struct Mark {
    /// A cursor.
    cursor: String,
}

/// A server-sent event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is described, and made by axum")]
struct Sent {
    /// `recorded`, `caught-up` or `checkpoint`.
    event: String,
    /// A cursor: what a client that connects again sends as `Last-Event-ID`.
    id: String,
    /// JSON. Of `recorded` an event, as `/v1/events` has it; of the others `{"cursor": ...}`.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// Follows what matches: history first, then what is recorded. Events are called `recorded`; `caught-up` and `checkpoint` say how
/// far they go. Each has a cursor as its id, which a client that connects again sends as `Last-Event-ID`.
#[utoipa::path(
    get, path = "/v1/subscribe",
    params(Parameters, ("Last-Event-ID" = Option<CursorText>, Header, description = "The cursor to go on from; goes before `after`.")),
    responses(
        (status = 200, description = "Server-sent events, until one side hangs up.", content_type = "text/event-stream", body = Sent),
        (status = "default", description = "It was refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn subscribe(
    State(api): State<Api>,
    Extension(who): Extension<Arc<Principal>>,
    RawQuery(text): RawQuery,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let parameters = Parameters::parse(&text.unwrap_or_default())?;
    if parameters.before.is_some() || parameters.limit.is_some() {
        return Err(Problem::malformed("a subscription has no `before` and no `limit`; leave them out"));
    }
    let last = headers
        .get("last-event-id")
        .map(|value| value.to_str().map(str::to_owned).map_err(|_| Problem::malformed("`Last-Event-ID` is not text")));
    let last = last.transpose()?;
    let head = api.store.head().await?;
    let after = cursor::parse(&last.or_else(|| parameters.after.clone()).unwrap_or_default(), head)?;
    let query = parameters.query()?;
    who.may_query(&query)?;
    let place = api.answers.begin()?;
    let subscription = api.store.subscribe(query, after).await?;
    let state = Following { subscription, log: head, waiting: VecDeque::new(), stopping: api.stopping, _place: place };
    let events = unfold(state, |mut following| async move { Some((Ok(following.next().await?), following)) });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SSE_KEEP_ALIVE)))
}

struct Following {
    subscription: Box<dyn Subscription>,
    /// Which log positions belong to.
    log: Cursor,
    waiting: VecDeque<RecordedEvent>,
    stopping: Stopping,
    _place: Answer,
}

impl Following {
    /// The next event; `None` ends the stream, and the client connects again.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return named("recorded", self.log.at(event.position), &EventOut::from(&event));
            }
            let delivered = tokio::select! {
                biased;
                () = self.stopping.stopped() => return None,
                delivered = self.subscription.next() => delivered,
            };
            match delivered {
                Ok(Delivery::Events(events)) => self.waiting = events.into(),
                Ok(Delivery::CaughtUp(at)) => return named("caught-up", at, &Mark { cursor: at.to_string() }),
                Ok(Delivery::Checkpoint(at)) => return named("checkpoint", at, &Mark { cursor: at.to_string() }),
                Err(error) => {
                    tracing::warn!(%error, "a subscription over HTTP ends");
                    return None;
                }
            }
        }
    }
}

fn named(name: &str, at: Cursor, data: &impl Serialize) -> Option<Event> {
    let event = Event::default().event(name).id(at.to_string()).json_data(data);
    event.inspect_err(|error| tracing::error!(%error, "an event cannot be written as JSON")).ok()
}
