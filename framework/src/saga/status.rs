//! How far a saga is, and what its instances look like, for people.

use std::fmt;

use annalist_core::{Cursor, EventId, Position, Timestamp, Version};
use serde::Serialize;
use serde_json::Value;

use super::{
    model::{EffectId, Sent},
    rows::InstanceState,
};

/// What a saga is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SagaState {
    /// It is behind the log, as it was when the service started, and catches up.
    CatchingUp,
    /// It takes events in as they are recorded.
    Live,
    /// It has come to an event that it cannot read or route, and takes no more events in. Instances under way go on. Mend
    /// the program, or have exactly this event left out: [`SagaHandle::skip_event`](super::SagaHandle::skip_event).
    Blocked(BlockedBy),
    /// It takes no more events in: the store failed. Instances under way go on.
    Failed {
        /// What went wrong.
        error: String,
    },
    /// It was shut down, or the store was closed.
    Stopped,
}

/// An event that a saga cannot read or route. The names of its fields stand on disk, where it was skipped, and never
/// change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct BlockedBy {
    /// Where it stands.
    pub position: Position,
    /// Its identity.
    pub id: EventId,
    /// Its declared name, as it is recorded.
    pub name: String,
    /// The stream that it is in.
    pub stream: String,
    /// Why it cannot be read.
    pub error: String,
}

impl fmt::Display for BlockedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, name, stream, error, .. } = self;
        write!(f, "the event `{name}` of `{stream}` at position {position} cannot be taken in: {error}")
    }
}

/// How far a saga is.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct SagaStatus {
    /// The saga.
    pub name: &'static str,
    /// Its declared version.
    pub version: u32,
    /// What it is doing.
    pub state: SagaState,
    /// Up to where it has followed the log.
    pub cursor: Cursor,
    /// The last event of the log.
    pub head: Cursor,
    /// Events between the two, others' included.
    pub lag: u64,
    /// Instances under way.
    pub running: u64,
    /// Instances in quarantine.
    pub quarantined: u64,
    /// Instances that are done.
    pub completed: u64,
    /// Commands without an outcome.
    pub pending: u64,
    /// Timers that may fire.
    pub timers: u64,
    /// Events since the start that were for no instance, or for a completed one.
    pub passed: u64,
    /// What last went wrong, whether or not it has passed since.
    pub last_error: Option<String>,
}

/// One instance of a saga.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// Its key.
    pub key: String,
    /// What it is doing.
    pub state: InstanceState,
    /// Why it is in quarantine, if it is, and since when.
    pub quarantine: Option<(String, Timestamp)>,
    /// The command that it is in quarantine for, if it is one.
    pub quarantined_for: Option<EffectId>,
    /// The version of the saga that wrote its state.
    pub saga_version: u32,
    /// Its state as JSON; null before its first input.
    pub data: Value,
    /// Commands without an outcome, in the order in which they are executed.
    pub pending: Vec<Sent>,
    /// Timers that have not fired: when they are due, and what they say.
    pub timers: Vec<(Timestamp, Value)>,
    /// Inputs that it has still to take in.
    pub held: u64,
    /// When it began.
    pub began: Timestamp,
    /// When something was last recorded of it.
    pub changed: Timestamp,
    /// Its records.
    pub version: Version,
}

/// What the tasks of a saga publish.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Progress {
    pub(super) state: SagaState,
    pub(super) scanned: Cursor,
}
