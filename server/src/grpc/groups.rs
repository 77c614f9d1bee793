//! The service `Groups`.

use std::{pin::Pin, sync::Arc, time::Duration};

use annalist_core::{Cursor, Invalid, Query, RecordedEvent, StoreError};
use annalist_proto::{events, form, v1};
use async_trait::async_trait;
use futures_util::{Stream, stream::try_unfold};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::{denied, invalid, unread, who};
use crate::{
    group::{
        Found, GroupError, Groups as All, Wanted, ask,
        note::Terms,
        run::{self, Handed, Order},
        state::{HandedOut, Member},
    },
    limits::{GROUP_ANSWER_WITHIN, GROUP_ATTEMPTS_MAX, GROUP_IN_FLIGHT, GROUP_IN_FLIGHT_MAX, GROUP_REASON_BYTES_MAX},
};

/// Groups as a service.
pub(super) struct Groups {
    pub(super) all: Arc<All>,
}

type Answer<T> = Result<Response<T>, Status>;
type Joined = Pin<Box<dyn Stream<Item = Result<v1::JoinResponse, Status>> + Send>>;

fn failed(error: GroupError) -> Status {
    match error {
        GroupError::Invalid(why) => invalid(Invalid::Other { why }),
        error @ GroupError::Foreign { .. } => invalid(Invalid::Other { why: error.to_string() }),
        GroupError::Store(error) => unread(&error),
    }
}

fn malformed(why: &str) -> Status {
    failed(GroupError::Invalid(why.to_owned()))
}

#[async_trait]
impl v1::groups_server::Groups for Groups {
    type JoinStream = Joined;

    async fn join(&self, request: Request<Streaming<v1::JoinRequest>>) -> Answer<Joined> {
        let who = who(&request)?;
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|first| first.request);
        let Some(v1::join_request::Request::Join(join)) = first else {
            return Err(malformed("the first request must say which group; set join"));
        };
        let form = form(join.form).map_err(invalid)?;
        let most = if join.in_flight_max == 0 { GROUP_IN_FLIGHT } else { join.in_flight_max };
        if most > GROUP_IN_FLIGHT_MAX {
            return Err(malformed(&format!("a member has at most {GROUP_IN_FLIGHT_MAX} events at a time")));
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let after = join.after.map_or(Ok(Cursor::START), Cursor::try_from).map_err(invalid)?;
        let terms = join.terms.map(terms).transpose().map_err(invalid)?;
        if let Some(terms) = &terms {
            terms.query.check().map_err(invalid)?;
            who.may_query(&terms.query).map_err(denied)?;
        }
        let found = self.all.find(&join.group, terms.map(|terms| Wanted { terms, after })).await;
        let Found { terms, orders, .. } = found.map_err(failed)?;
        who.may_query(&terms.query).map_err(denied)?;
        let (events, handed) = mpsc::channel(most);
        let member = ask(&orders, |joined| Order::Join { most, events, joined }).await.map_err(failed)?;
        let session = Session { requests, handed, orders, member, form, joined: false };
        Ok(Response::new(Box::pin(try_unfold(session, |mut session| async move {
            Ok(session.next().await?.map(|response| (response, session)))
        }))))
    }

    async fn list(&self, request: Request<v1::ListGroupsRequest>) -> Answer<v1::ListGroupsResponse> {
        let who = who(&request)?;
        let all = self.all.list().await.map_err(failed)?.into_iter();
        let groups = all.filter(|status| who.may_query(&status.terms.query).is_ok()).map(described).collect();
        Ok(Response::new(v1::ListGroupsResponse { groups }))
    }

    async fn show(&self, request: Request<v1::ShowGroupRequest>) -> Answer<v1::ShowGroupResponse> {
        let who = who(&request)?;
        let status = self.all.status(&request.into_inner().group).await.map_err(failed)?;
        who.may_query(&status.terms.query).map_err(denied)?;
        let parked = status.parked.iter().map(|parked| v1::ParkedEvent {
            position: parked.position,
            stream: parked.stream.to_string(),
            attempts: parked.attempts,
            reason: parked.why.clone(),
            behind: parked.behind as u64,
        });
        let parked = parked.collect();
        Ok(Response::new(v1::ShowGroupResponse { group: Some(described(status)), parked }))
    }

    async fn replay(&self, request: Request<v1::ReplayParkedRequest>) -> Answer<v1::ReplayParkedResponse> {
        let v1::ReplayParkedRequest { group, position } = request.into_inner();
        let orders = self.all.find(&group, None).await.map_err(failed)?.orders;
        let count = ask(&orders, |done| Order::Replay { position, done }).await.map_err(failed)?;
        Ok(Response::new(v1::ReplayParkedResponse { count: count as u64 }))
    }

    async fn skip(&self, request: Request<v1::SkipParkedRequest>) -> Answer<v1::SkipParkedResponse> {
        let v1::SkipParkedRequest { group, position } = request.into_inner();
        let orders = self.all.find(&group, None).await.map_err(failed)?.orders;
        let count = ask(&orders, |done| Order::Skip { position, done }).await.map_err(failed)?;
        Ok(Response::new(v1::SkipParkedResponse { count: count as u64 }))
    }

    async fn remove(&self, request: Request<v1::RemoveGroupRequest>) -> Answer<v1::RemoveGroupResponse> {
        self.all.remove(&request.into_inner().group).await.map_err(failed)?;
        Ok(Response::new(v1::RemoveGroupResponse {}))
    }
}

fn terms(terms: v1::GroupTerms) -> Result<Terms, Invalid> {
    let query = terms.query.map_or_else(|| Ok(Query::all()), Query::try_from)?;
    let attempts_max = if terms.attempts_max == 0 { GROUP_ATTEMPTS_MAX } else { terms.attempts_max };
    let answer_within = match terms.answer_within_ms {
        0 => GROUP_ANSWER_WITHIN,
        stated => Duration::from_millis(stated.into()),
    };
    Ok(Terms { query, attempts_max, answer_within })
}

fn described(status: run::Status) -> v1::Group {
    let run::Status { name, terms, read, head, members, open, parked, problem } = status;
    let Terms { query, attempts_max, answer_within } = terms;
    let answer_within_ms = u32::try_from(answer_within.as_millis()).unwrap_or(u32::MAX);
    v1::Group {
        name,
        terms: Some(v1::GroupTerms { query: Some(query.into()), attempts_max, answer_within_ms }),
        read: Some(read.into()),
        head: Some(head.into()),
        members: u32::try_from(members).unwrap_or(u32::MAX),
        open: open as u64,
        parked: parked.len() as u64,
        behind: parked.iter().map(|parked| parked.behind as u64).sum(),
        problem: problem.unwrap_or_default(),
    }
}

/// A member, as long as it is there.
struct Session {
    requests: Streaming<v1::JoinRequest>,
    handed: mpsc::Receiver<Handed>,
    orders: mpsc::Sender<Order>,
    member: Member,
    form: v1::Form,
    joined: bool,
}

impl Session {
    /// What it is told next. Answers are taken meanwhile.
    async fn next(&mut self) -> Result<Option<v1::JoinResponse>, Status> {
        use v1::join_response::Response as Wire;
        let said = |wire| Ok(Some(v1::JoinResponse { response: Some(wire) }));
        if !self.joined {
            self.joined = true;
            return said(Wire::Joined(v1::Joined {}));
        }
        loop {
            tokio::select! {
                request = self.requests.message() => {
                    let Some(request) = request? else {
                        _ = self.orders.send(Order::Leave { member: self.member, said_so: true }).await;
                        return Ok(None);
                    };
                    self.answered(request).await?;
                }
                handed = self.handed.recv() => {
                    let Some((event, attempt)) = handed else {
                        return Err(unread(&StoreError::Closed));
                    };
                    return said(Wire::Delivery(self.delivery(&event, attempt)));
                }
            }
        }
    }

    fn delivery(&self, event: &RecordedEvent, attempt: u32) -> v1::GroupDelivery {
        v1::GroupDelivery { event: Some(events(std::slice::from_ref(event), self.form)), attempt }
    }

    async fn answered(&self, request: v1::JoinRequest) -> Result<(), Status> {
        use v1::join_request::Request as Wire;
        let handed = |position, attempt| HandedOut { member: self.member, position, attempt };
        let order = match request.request {
            Some(Wire::Ack(v1::Ack { position, attempt })) => Order::Ack(handed(position, attempt)),
            Some(Wire::Nack(v1::Nack { position, attempt, delay_ms, mut reason })) => {
                reason.truncate(reason.floor_char_boundary(GROUP_REASON_BYTES_MAX));
                let delay = Duration::from_millis(delay_ms.into());
                Order::Nack { handed: handed(position, attempt), delay, why: reason }
            }
            Some(Wire::Join(_)) => return Err(malformed("the member has joined already")),
            None => return Err(malformed("the request has no kind that this server knows")),
        };
        let closed = |_| unread(&StoreError::Closed);
        self.orders.send(order).await.map_err(closed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // If there is no room to say so, the group finds out when it hands something out, or when there is no answer in time.
        _ = self.orders.try_send(Order::Leave { member: self.member, said_so: false });
    }
}
