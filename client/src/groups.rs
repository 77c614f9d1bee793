//! Looking after consumer groups.

use std::sync::Arc;

use annalist_core::{Cursor, Position, Query, StoreError};
use annalist_proto::v1;

use crate::{
    failure::Failure,
    group::{GroupMember, GroupOptions},
    remote::Again,
    store::RemoteStore,
};

/// How a group is.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// The events that it is about.
    pub query: Query,
    /// Up to where events were taken in; some of them may not be settled.
    pub read: Cursor,
    /// The last position of the log.
    pub head: Cursor,
    /// How many members there are.
    pub members: u32,
    /// How many events were taken in that are neither settled, nor parked, nor behind a parked one.
    pub open: u64,
    /// How many events are parked.
    pub parked: u64,
    /// How many events wait behind a parked one of their stream.
    pub behind: u64,
    /// Why it hands out nothing, and what to do: after a restore it may have taken in what the log does not have. `None`: nothing
    /// is wrong.
    pub problem: Option<String>,
}

impl GroupStatus {
    /// How many positions of the log the group has not looked at, whether its query finds anything there or not.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.head.position.get().saturating_sub(self.read.position.get())
    }
}

/// An event that was handed out too often.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ParkedEvent {
    /// Its position.
    pub position: Position,
    /// Its stream, which waits for a decision.
    pub stream: String,
    /// How often it was handed out.
    pub attempts: u32,
    /// What its last member said, or why there was no answer.
    pub reason: String,
    /// How many later events of the stream wait behind it.
    pub behind: u64,
}

macro_rules! ask {
    ($self:ident.$method:ident($request:expr)) => {{
        let remote = $self.remote();
        let attempt = |asked| async move { remote.groups().$method(remote.timed(asked)).await };
        let request = $request;
        let answer = remote.call(|| request.clone(), Again::Harmless, Failure::of_reading, attempt).await;
        answer.map_err(Failure::into_store_error)
    }};
}

impl RemoteStore {
    /// A member of a consumer group: it shares the events of a query with the others, each stream in order. The group is made
    /// when its first member joins.
    #[must_use]
    pub fn group(&self, name: &str, query: Query, options: &GroupOptions) -> GroupMember {
        GroupMember::new(Arc::clone(self.remote()), name, query, options)
    }

    /// How all groups are, by name.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be told.
    pub async fn groups(&self) -> Result<Vec<GroupStatus>, StoreError> {
        let answer = ask!(self.list(v1::ListGroupsRequest {}))?;
        answer.groups.into_iter().map(status).collect()
    }

    /// How a group is, and what is parked in it, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no such group.
    pub async fn group_status(&self, name: &str) -> Result<(GroupStatus, Vec<ParkedEvent>), StoreError> {
        let answer = ask!(self.show(v1::ShowGroupRequest { group: name.to_owned() }))?;
        let missing = || Failure::incomprehensible(&"it has no group").into_store_error();
        let parked = answer.parked.into_iter().map(|parked| ParkedEvent {
            position: Position::new(parked.position),
            stream: parked.stream,
            attempts: parked.attempts,
            reason: parked.reason,
            behind: parked.behind,
        });
        Ok((status(answer.group.ok_or_else(missing)?)?, parked.collect()))
    }

    /// Hands a parked event of a group out again, or all of them, as if for the first time. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no such group.
    pub async fn replay_parked(&self, group: &str, position: Option<Position>) -> Result<u64, StoreError> {
        let position = position.map(Position::get);
        Ok(ask!(self.replay(v1::ReplayParkedRequest { group: group.to_owned(), position }))?.count)
    }

    /// Settles a parked event of a group undone, or all of them. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no such group.
    pub async fn skip_parked(&self, group: &str, position: Option<Position>) -> Result<u64, StoreError> {
        let position = position.map(Position::get);
        Ok(ask!(self.skip(v1::SkipParkedRequest { group: group.to_owned(), position }))?.count)
    }

    /// Ends a group and forgets it; a later one of its name begins anew.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there is no such group, or it has members.
    pub async fn remove_group(&self, name: &str) -> Result<(), StoreError> {
        ask!(self.remove(v1::RemoveGroupRequest { group: name.to_owned() })).map(drop)
    }
}

fn status(group: v1::Group) -> Result<GroupStatus, StoreError> {
    let incomprehensible = |error: annalist_core::Invalid| Failure::incomprehensible(&error).into_store_error();
    let query = group.terms.and_then(|terms| terms.query).unwrap_or_default();
    Ok(GroupStatus {
        name: group.name,
        query: Query::try_from(query).map_err(incomprehensible)?,
        read: Cursor::try_from(group.read.unwrap_or_default()).map_err(incomprehensible)?,
        head: Cursor::try_from(group.head.unwrap_or_default()).map_err(incomprehensible)?,
        members: group.members,
        open: group.open,
        parked: group.parked,
        behind: group.behind,
        problem: Some(group.problem).filter(|problem| !problem.is_empty()),
    })
}
