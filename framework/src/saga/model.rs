//! What users implement, and what a saga is handed.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::effects::Effects;
use crate::{
    aggregate::Aggregate,
    command::{Command, CommandSet},
    event::{EventSet, Events, Recorded},
};

/// The dual of an aggregate: events in, commands and timers out. There are many instances of a saga, each with a key.
///
/// Each input is taken in two steps, both pure: [`Saga::evolve`] changes the state, [`Saga::react`] says what is to be
/// done. What that comes to is recorded in one append before anything of it is done, so a saga goes on after a crash
/// where it was, and neither sends a command twice nor forgets one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a saga",
    note = "implement `Saga` for it: NAME, VERSION, the Event it follows, its Timer, and `fn commands`, `route`, `evolve`, `react`",
    note = "`Saga` needs `Default`, `Serialize` and `Deserialize`: its state is part of its records"
)]
pub trait Saga: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name on disk, in keys, status and calls: 1 to 59 bytes without `-` and control characters; unique within a
    /// service. It never changes.
    const NAME: &'static str;

    /// Which shape and meaning the state has. Increment it when instances that are under way cannot go on as they are,
    /// and say in [`Saga::migrate`] how they do.
    const VERSION: u32;

    /// The events it follows, of one category or of several.
    type Event: Events;

    /// What a timer says when it fires; a timer is known by this. A saga without timers says `()`.
    type Timer: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Says which commands it sends, and to which aggregates: `commands.add::<Account, Withdraw>();`. After a restart
    /// there is only their data, so a command that is not said here cannot be sent; the test kit finds that.
    fn commands(commands: &mut CommandSet);

    /// Which instance an event is for. Must depend on nothing but the event.
    fn route(event: &Recorded<Self::Event>) -> Route;

    /// Takes in what happened. Must depend on nothing but state and input; it may be called again for the same input
    /// when two come at once.
    fn evolve(&mut self, input: &Input<Self>);

    /// Says what is to be done about it, the input being taken in already. Nothing is done here: it may be called again.
    fn react(&self, input: &Input<Self>, effects: &mut Effects<Self>);

    /// What is asked about each instance under way before the app starts, beside the version of its state.
    #[doc(hidden)]
    const CHECK: Option<Check<Self>> = None;

    /// The state of an instance under way, as another [`Saga::VERSION`] wrote it, in the present shape; `None` if it
    /// cannot go on. Then the app does not start: nothing is lost, the program before can go on.
    #[must_use]
    fn migrate(version: u32, state: Value) -> Option<Self> {
        let _ = (version, state);
        None
    }
}

/// Whether the program can go on with an instance; if not, why, and what to do.
#[doc(hidden)]
pub type Check<S> = fn(&S) -> Result<(), String>;

/// Which instance of a saga an event is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// None.
    Ignore,
    /// The one with this key, which begins if it is not there. A completed one does not begin again.
    Start(String),
    /// The one with this key, if it is there.
    Continue(String),
}

/// What a saga takes in.
pub enum Input<S: Saga> {
    /// An event that was recorded.
    Event(Recorded<S::Event>),
    /// A timer that was set and is due.
    Timer(S::Timer),
    /// A command that was sent, and recorded. Its events come as inputs of their own if the saga follows them.
    Accepted {
        /// The command.
        command: Sent,
        /// What it replied, as JSON.
        reply: Value,
    },
    /// A command that was sent and rejected: nothing of it is recorded, and it is not sent again.
    Rejected {
        /// The command.
        command: Sent,
        /// Why.
        rejection: Rejection,
    },
}

impl<S: Saga> fmt::Debug for Input<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(recorded) => write!(f, "{:?}", recorded.record),
            Self::Timer(timer) => write!(f, "timer {}", serde_json::to_value(timer).unwrap_or_default()),
            Self::Accepted { command, reply } => write!(f, "accepted: {command:?}, {reply}"),
            Self::Rejected { command, rejection } => write!(f, "rejected: {command:?}, {rejection}"),
        }
    }
}

/// The identity of a command that a saga sends: derived from the saga, the instance, the input and the command's place
/// among what the input caused. It is the key of the command, so that it is recorded once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub(super) Uuid);

impl EffectId {
    /// The identity of the command in this place, from 0, among what an input caused.
    pub(super) fn of(input: Uuid, ordinal: usize) -> Self {
        Self(Uuid::new_v5(&input, format!("effect/{ordinal}").as_bytes()))
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EffectId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EffectId({})", self.0)
    }
}

/// A command that a saga sends, as data. The names of its fields stand on disk and never change.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Its identity, which is its key.
    pub(super) id: EffectId,
    /// The record that says that it is to be sent: the cause that it names.
    pub(super) caused_by: Uuid,
    pub(super) category: String,
    pub(super) target: String,
    pub(super) command: String,
    pub(super) content: Value,
    /// What the sender knows it by again when it has an outcome.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) note: Value,
    /// A person said what came of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) by_hand: bool,
}

/// A command and where it goes to, before it has an identity.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Outgoing {
    category: &'static str,
    target: String,
    command: &'static str,
    content: Value,
}

impl Outgoing {
    /// # Errors
    /// Why the command cannot be written down.
    pub(crate) fn new<A: Aggregate, C: Command>(id: &A::Id, command: &C) -> Result<Self, String> {
        let content = serde_json::to_value(command)
            .map_err(|error| format!("the command `{}` cannot be written as JSON: {error}", C::NAME))?;
        Ok(Self { category: A::Event::CATEGORY, target: id.to_string(), command: C::NAME, content })
    }

    pub(super) fn sent(self, id: EffectId, caused_by: Uuid, note: Value) -> Sent {
        let Self { category, target, command, content } = self;
        let (category, command) = (category.to_owned(), command.to_owned());
        Sent { id, caused_by, category, target, command, content, note, by_hand: false }
    }
}

impl Sent {
    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> EffectId {
        self.id
    }

    /// The category of the aggregate that it goes to.
    #[must_use]
    pub fn category(&self) -> &str {
        &self.category
    }

    /// The id of the aggregate that it goes to.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The declared name of the command.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.command
    }

    /// The command as JSON.
    #[must_use]
    pub const fn content(&self) -> &Value {
        &self.content
    }

    /// Whether it was a person who said what came of it: [`SagaHandle::skip`](super::SagaHandle::skip) or
    /// [`SagaHandle::force`](super::SagaHandle::force).
    #[must_use]
    pub const fn is_settled_by_hand(&self) -> bool {
        self.by_hand
    }

    pub(crate) const fn note(&self) -> &Value {
        &self.note
    }

    /// Whether it is such a command.
    #[must_use]
    pub fn is<C: Command>(&self) -> bool {
        self.command == C::NAME
    }

    /// The command, if it is one of these.
    #[must_use]
    pub fn read<C: Command>(&self) -> Option<C> {
        self.is::<C>().then(|| C::deserialize(&self.content).ok()).flatten()
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to {}-{} {}", self.command, self.category, self.target, self.content)
    }
}

/// Why a command was rejected. The names of its fields stand on disk and never change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rejection {
    pub(super) message: String,
    #[serde(default)]
    pub(super) detail: Value,
}

impl Rejection {
    /// What the rejection says.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The rejection itself, if it is one of these: what the aggregate's `Decide` names as its `Rejection`.
    #[must_use]
    pub fn read<R: DeserializeOwned>(&self) -> Option<R> {
        R::deserialize(&self.detail).ok()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
