//! What stands in the stream of an instance.
//!
//! Each record holds the whole instance behind it: the state, the commands without an outcome, the timers that have not
//! fired. So the last record is all that must be read to go on. Names of events and of fields stand on disk and never
//! change.

use std::{fmt, marker::PhantomData};

use annalist_core::{EventId, Metadata, Position, Tag, Timestamp, Version};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    model::{EffectId, Rejection, Saga, Sent},
    name::Names,
};
use crate::event::{DecodeError, EncodeError, EventSet};

/// An input was taken in.
const INPUT_TAKEN: &str = "saga-input-taken";
/// An input came while the instance was in quarantine, or behind others that did.
const INPUT_HELD: &str = "saga-input-held";
/// The instance goes into quarantine; an input that it could not take in is held.
const QUARANTINED: &str = "saga-quarantined";
/// Someone let the instance out of quarantine.
const RELEASED: &str = "saga-released";

/// What a record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Taken,
    Held,
    Quarantined,
    Released,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Taken => INPUT_TAKEN,
            Self::Held => INPUT_HELD,
            Self::Quarantined => QUARANTINED,
            Self::Released => RELEASED,
        }
    }
}

/// An instance as it is behind a record, and what the record is about.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// What was taken in or held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<InputRecord>,
    /// Who had it done, if a person had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) audit: Option<Audit>,
    /// The version of the saga that wrote the state.
    pub(super) saga_version: u32,
    /// `None` before the first input is taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) completed: bool,
    /// Commands without an outcome, in the order in which they are executed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pending: Vec<Sent>,
    /// Timers that have not fired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) timers: Vec<TimerRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quarantine: Option<Quarantine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held: Option<Held>,
    pub(super) began: Timestamp,
    /// The correlation and the tenant of what began it, for all that it causes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub(super) circumstances: Metadata,
}

/// An input, by what identifies it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum InputRecord {
    Event { position: Position, id: EventId },
    Timer { id: Uuid, timer: Value },
    Accepted { command: Sent, reply: Value },
    Rejected { command: Sent, rejection: Rejection },
}

/// A timer that has not fired.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct TimerRecord {
    pub(super) id: Uuid,
    pub(super) due: Timestamp,
    pub(super) timer: Value,
}

/// Why an instance is in quarantine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Quarantine {
    pub(super) reason: String,
    pub(super) since: Timestamp,
    /// The command that cannot be executed, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) effect: Option<EffectId>,
}

/// Which records hold inputs that are still to be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    /// The first stands here or behind.
    pub(super) from: Version,
    pub(super) count: u64,
}

/// Who had something done by hand, and why: recorded with what was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// The person.
    pub who: String,
    /// The reason that they gave.
    pub why: String,
}

impl Audit {
    /// Who, and why.
    #[must_use]
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Self {
        Self { who: who.into(), why: why.into() }
    }
}

/// A record of a saga.
pub(super) struct Record<S> {
    pub(super) kind: Kind,
    pub(super) entry: Entry,
    saga: PhantomData<fn() -> S>,
}

impl<S> Record<S> {
    pub(super) const fn new(kind: Kind, entry: Entry) -> Self {
        Self { kind, entry, saga: PhantomData }
    }
}

impl<S> Clone for Record<S> {
    fn clone(&self) -> Self {
        Self::new(self.kind, self.entry.clone())
    }
}

impl<S> fmt::Debug for Record<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.kind.name()).field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl<S: Saga> EventSet for Record<S> {
    const CATEGORY: &'static str = Names::<S>::CATEGORY;
    const TYPES: &'static [(&'static str, u16)] = &[(INPUT_TAKEN, 1), (INPUT_HELD, 1), (QUARANTINED, 1), (RELEASED, 1)];

    fn event_type(&self) -> (&'static str, u16) {
        (self.kind.name(), 1)
    }

    fn tags(&self) -> Result<Vec<Tag>, EncodeError> {
        Ok(Vec::new())
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        crate::__private::encode(self.kind.name(), &self.entry)
    }

    fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        let kinds = [Kind::Taken, Kind::Held, Kind::Quarantined, Kind::Released];
        let kind = kinds.into_iter().find(|kind| version == 1 && kind.name() == name);
        let kind = kind.ok_or_else(|| crate::__private::undeclared::<Self>(name, version))?;
        Ok(Self::new(kind, crate::__private::decode(kind.name(), version, payload)?))
    }
}

/// The names from which ids of sagas are derived stand in this space (a UUID of Annalist's own, made once). It must never
/// change: what was recorded under a derived id is recognised by it.
const SPACE: Uuid = Uuid::from_u128(0x3b0d_94c7_1e5a_4f86_9c2d_7a41_d8e3_056b);

impl InputRecord {
    /// What it is known by within its instance: the key of its record. It never changes.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Event { id, .. } => format!("event/{id}"),
            Self::Timer { id, .. } => format!("timer/{id}"),
            Self::Accepted { command, .. } | Self::Rejected { command, .. } => format!("effect/{}", command.id),
        }
    }

    /// The id from which those of everything that it causes derive.
    pub(super) fn id(&self, stream: &str) -> Uuid {
        Uuid::new_v5(&SPACE, format!("{stream}\0{}", self.identity()).as_bytes())
    }

    /// What caused it.
    pub(super) fn cause(&self) -> Uuid {
        match self {
            Self::Event { id, .. } => id.uuid(),
            Self::Timer { id, .. } => *id,
            Self::Accepted { command, .. } | Self::Rejected { command, .. } => command.id.uuid(),
        }
    }
}

impl Entry {
    /// Whether something is to be done about the instance now.
    pub(super) fn has_work(&self) -> bool {
        self.quarantine.is_none() && (self.held.is_some() || !self.pending.is_empty())
    }

    /// Whether nothing more comes of it by itself: it is done, or someone must act.
    pub(super) fn rests(&self) -> bool {
        self.quarantine.is_some() || (self.completed && self.pending.is_empty() && self.held.is_none())
    }

    /// Timers that may fire: those of an instance that is held up wait until it goes on.
    pub(super) fn running_timers(&self) -> &[TimerRecord] {
        if self.quarantine.is_some() || self.held.is_some() { &[] } else { &self.timers }
    }
}
