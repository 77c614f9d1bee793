//! What a decision may know beside the state and the command.

use std::fmt;

use annalist_core::{EventId, Key, Timestamp};
use uuid::Uuid;

/// The names from which ids are derived stand in this space (a UUID of Annalist's own, made once). It must never
/// change: what was recorded under a derived id is recognised by it.
const SPACE: Uuid = Uuid::from_u128(0x6f2c_8e1a_94d7_4b5e_a3c0_51b7_0d9e_8f46);

/// The identity of a command: of one attempt of someone to have something done, however often it is repeated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(Uuid);

impl CommandId {
    /// Wraps a UUID.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The identity of the command with this key: the same at each repetition.
    #[must_use]
    pub fn of_key(key: &Key) -> Self {
        // A scope has no control characters, so the zero byte ends it.
        Self(Uuid::new_v5(&SPACE, format!("{}\0{}", key.scope(), key.id()).as_bytes()))
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The identity of the event that this command emits in this place, from 0.
    pub(crate) fn event_id(self, ordinal: u64) -> EventId {
        EventId::new(self.derive("event", ordinal))
    }

    fn derive(self, what: &str, ordinal: u64) -> Uuid {
        Uuid::new_v5(&self.0, format!("{what}/{ordinal}").as_bytes())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandId({})", self.0)
    }
}

/// The circumstances of a decision. The same command has the same again when a conflict makes it decide again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Context {
    command_id: CommandId,
    now: Timestamp,
    correlation_id: String,
    actor: Option<String>,
}

impl Context {
    /// A context for a command at a time; its correlation begins with the command.
    #[must_use]
    pub fn new(command_id: CommandId, now: Timestamp) -> Self {
        Self { command_id, now, correlation_id: command_id.to_string(), actor: None }
    }

    /// The same, as part of this correlation.
    #[must_use]
    pub fn with_correlation_id(self, correlation_id: impl Into<String>) -> Self {
        Self { correlation_id: correlation_id.into(), ..self }
    }

    /// The same, in this one's name.
    #[must_use]
    pub fn with_actor(self, actor: Option<String>) -> Self {
        Self { actor, ..self }
    }

    /// The identity of the command.
    #[must_use]
    pub const fn command_id(&self) -> CommandId {
        self.command_id
    }

    /// When the command began to be executed. What is recorded may bear a slightly later time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The business conversation that the command belongs to.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.correlation_id
    }

    /// The person or service in whose name it is done, if that was said.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// An id for something new, such as the line of an order: derived from the command and `ordinal`, so that the same
    /// ordinal gives the same id when the command is decided again, and another gives another.
    #[must_use]
    pub fn new_id(&self, ordinal: u64) -> Uuid {
        self.command_id.derive("id", ordinal)
    }
}
