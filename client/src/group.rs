//! A member of a consumer group.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use annalist_core::{Cursor, Query, RecordedEvent, StoreError};
use annalist_proto::{stored_events, v1};
use futures_util::stream::unfold;
use tokio::sync::{mpsc, oneshot};
use tonic::{Status, Streaming};
use v1::{join_request::Request as Wire, join_response::Response as Answer};

use crate::{failure::Failure, pause::Pauses, remote::Remote};

/// What a group is about, and how much of it a member takes. A group is made when its first member joins; it keeps its terms, and
/// later members are held to its query.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct GroupOptions {
    /// Where the group begins if it is made now. Default: at the beginning of the log. Since 0.1.
    pub after: Cursor,
    /// How often an event is handed out before it is parked. Default: 5. Since 0.1.
    pub attempts_max: u32,
    /// How long a member may take for an event before it goes to another. Default: 30 s. Since 0.1.
    pub answer_within: Duration,
    /// Most events that this member has at a time, each of another stream; at most 1,024. Default: 16. Since 0.1.
    pub in_flight_max: u32,
}

impl Default for GroupOptions {
    fn default() -> Self {
        let answer_within = Duration::from_secs(30);
        Self { after: Cursor::START, attempts_max: 5, answer_within, in_flight_max: 16 }
    }
}

/// A member of a consumer group. It joins when it is first asked, and again whenever the connection breaks; what it had goes to
/// whoever is there then, perhaps again to it. Dropping it leaves the group.
pub struct GroupMember {
    remote: Arc<Remote>,
    join: v1::JoinGroup,
    session: Option<Session>,
    /// Kept here, so that whoever drops a wait does not leave a member behind that nobody asks.
    joining: Option<Joining>,
}

type Joining = Pin<Box<dyn Future<Output = Result<Session, Status>> + Send>>;

impl fmt::Debug for GroupMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupMember").field("group", &self.join.group).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Session {
    answers: mpsc::Sender<v1::JoinRequest>,
    // Dropped with the session, which ends the requests.
    _here: oneshot::Sender<()>,
    responses: Streaming<v1::JoinResponse>,
}

/// An event that a group has handed out. It comes again if it is dropped without an answer, once the time for that is over.
#[derive(Debug)]
#[must_use = "it comes again unless it is answered"]
pub struct GroupDelivery {
    event: RecordedEvent,
    attempt: u32,
    answers: mpsc::Sender<v1::JoinRequest>,
}

impl GroupMember {
    pub(crate) fn new(remote: Arc<Remote>, name: &str, query: Query, options: &GroupOptions) -> Self {
        let answer_within_ms = u32::try_from(options.answer_within.as_millis()).unwrap_or(u32::MAX);
        let terms = v1::GroupTerms { query: Some(query.into()), attempts_max: options.attempts_max, answer_within_ms };
        let join = v1::JoinGroup {
            group: name.to_owned(),
            terms: Some(terms),
            after: Some(options.after.into()),
            in_flight_max: options.in_flight_max,
            form: v1::Form::Stored.into(),
        };
        Self { remote, join, session: None, joining: None }
    }

    /// Waits for the next event. Of one stream the next one comes when the one before it is settled, so one loop that answers each
    /// before it asks for the next sees every stream in order. Nothing is lost when the wait is dropped.
    ///
    /// # Errors
    /// [`StoreError`] when the server refuses, for example a group that has another query. While the server cannot be reached it
    /// waits.
    pub async fn next(&mut self) -> Result<GroupDelivery, StoreError> {
        let remote = Arc::clone(&self.remote);
        remote.while_open(self.advance()).await?
    }

    async fn advance(&mut self) -> Result<GroupDelivery, StoreError> {
        let mut pauses = Pauses::default();
        loop {
            let Some(session) = &mut self.session else {
                let (remote, join) = (Arc::clone(&self.remote), &self.join);
                let joining = self.joining.get_or_insert_with(|| Box::pin(joined(remote, join.clone())));
                let joined = joining.await;
                self.joining = None;
                match joined {
                    Ok(session) => self.session = Some(session),
                    Err(status) => pause(&self.remote, &self.join.group, status, &mut pauses).await?,
                }
                continue;
            };
            match session.responses.message().await {
                Ok(Some(v1::JoinResponse { response: Some(Answer::Delivery(delivery)) })) => {
                    let event = stored_events(delivery.event.unwrap_or_default())?.pop();
                    let incomprehensible =
                        || Failure::incomprehensible(&"a delivery without an event").into_store_error();
                    let (event, attempt) = (event.ok_or_else(incomprehensible)?, delivery.attempt);
                    return Ok(GroupDelivery { event, attempt, answers: session.answers.clone() });
                }
                // That it has joined, or what a newer server has to say besides.
                Ok(Some(_)) => {}
                Ok(None) => self.session = None,
                Err(status) => {
                    self.session = None;
                    pause(&self.remote, &self.join.group, status, &mut pauses).await?;
                }
            }
        }
    }
}

/// Waits before it joins again, unless it is refused. Not a method: a member is not to be shared, so that its loop can be a task.
async fn pause(remote: &Remote, group: &str, status: Status, pauses: &mut Pauses) -> Result<(), StoreError> {
    match Failure::of_reading(status) {
        Failure::NotTaken(why) | Failure::Lost(why) => {
            tracing::warn!(address = remote.address(), group, why, "a member waits for the server");
            remote.pause(pauses.next()).await
        }
        refused @ Failure::Refused(_) => Err(refused.into_store_error()),
    }
}

async fn joined(remote: Arc<Remote>, join: v1::JoinGroup) -> Result<Session, Status> {
    // Every event that it may have can be answered without waiting, and one that comes while they are.
    let room = usize::try_from(join.in_flight_max).unwrap_or_default().clamp(16, 1024) + 1;
    let (answers, requests) = mpsc::channel(room);
    let join = v1::JoinRequest { request: Some(Wire::Join(join)) };
    let (here, gone) = oneshot::channel();
    let requests = unfold((Some(join), requests, gone), |(first, mut requests, mut gone)| async move {
        let request = if let Some(first) = first {
            first
        } else {
            tokio::select! {
                biased;
                request = requests.recv() => request?,
                // The member is no more, though somebody may still hold what it was handed.
                _ = &mut gone => return None,
            }
        };
        Some((request, (None, requests, gone)))
    });
    let request = remote.authorized(tonic::Request::new(requests));
    Ok(Session { answers, _here: here, responses: remote.groups().join(request).await?.into_inner() })
}

impl GroupDelivery {
    /// The event. Its position is what to recognise it by when it comes again.
    #[must_use]
    pub const fn event(&self) -> &RecordedEvent {
        &self.event
    }

    /// Which attempt at it this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// It is done, and the next of its stream may come. If the connection breaks before that is known, it comes again.
    pub async fn ack(self) {
        let ack = v1::Ack { position: self.event.position.get(), attempt: self.attempt };
        self.answer(Wire::Ack(ack)).await;
    }

    /// It could not be done: it comes again after a delay, to whoever is there then, or is parked if it came too often. What follows
    /// it in its stream waits.
    pub async fn nack(self, delay: Duration, reason: &str) {
        let nack = v1::Nack {
            position: self.event.position.get(),
            attempt: self.attempt,
            delay_ms: u32::try_from(delay.as_millis()).unwrap_or(u32::MAX),
            reason: reason.to_owned(),
        };
        self.answer(Wire::Nack(nack)).await;
    }

    async fn answer(&self, request: Wire) {
        // Without the connection that it came over, its answer would say nothing.
        _ = self.answers.send(v1::JoinRequest { request: Some(request) }).await;
    }
}
