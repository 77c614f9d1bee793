//! How a caller says what is to be executed.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use annalist_core::{EventId, Metadata, RecordedEvent};
use uuid::Uuid;

use super::{Command, CommandId, Decide, Executor, Gate, executor::Executed};
use crate::{
    aggregate::{Aggregate, stream_of},
    command::CommandError,
    event::Recorded,
};

/// What executes commands, behind its gate.
pub(crate) struct Commands {
    pub(crate) executor: Executor,
    pub(crate) gate: Gate,
}

/// One aggregate, to be told something.
#[must_use = "nothing happens until a command is executed"]
pub struct On<A: Aggregate> {
    commands: Arc<Commands>,
    id: A::Id,
}

impl<A: Aggregate> On<A> {
    pub(crate) fn new(commands: Arc<Commands>, id: A::Id) -> Self {
        Self { commands, id }
    }

    /// A command to it. It is executed when it is awaited.
    pub fn execute<C: Command>(self, command: C) -> Execute<A, C>
    where
        A: Decide<C>,
    {
        Execute { commands: self.commands, id: self.id, command, key: None, metadata: Metadata::default() }
    }
}

/// A command to an aggregate, with its circumstances. Awaiting it executes it.
///
/// Dropping the future while it runs leaves open whether the command is recorded: execute it again, with the same key.
#[must_use = "a command does nothing until it is awaited"]
pub struct Execute<A: Aggregate, C> {
    commands: Arc<Commands>,
    id: A::Id,
    command: C,
    key: Option<String>,
    metadata: Metadata,
}

impl<A: Aggregate, C> Execute<A, C> {
    /// Records the command once: executed again on the same aggregate with the same key it is answered as the first
    /// time, whatever the aggregate looks like by now. Take what identifies the request: the client's request id, the
    /// number of a row, the id of a message. A rejected command is not recorded.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The business conversation that it belongs to. Without it, it begins one: its correlation id is its own id.
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.metadata.correlation_id = Some(id.into());
        self
    }

    /// What caused it: a recorded event, or an id. Its events name that as their cause, instead of the command itself;
    /// from an event the command takes over the correlation too, unless it has one.
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        let Cause { id, correlation_id } = cause.into();
        self.metadata.causation_id = Some(id);
        self.metadata.correlation_id = self.metadata.correlation_id.or(correlation_id);
        self
    }

    /// The person or service in whose name it is executed.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// The tenant that it belongs to.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.metadata.tenant = Some(tenant.into());
        self
    }

    /// The W3C trace context that it is part of.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.metadata.traceparent = Some(traceparent.into());
        self
    }

    /// Something else to be kept with its events, by name.
    pub fn pair(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.pairs.insert(name.into(), value.into());
        self
    }

    /// All circumstances at once, replacing those given before.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

impl<A: Aggregate + Decide<C>, C: Command> IntoFuture for Execute<A, C> {
    type Output = Executed<A, C>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { commands, id, command, key, metadata } = self;
        Box::pin(async move {
            let stream = stream_of::<A>(&id).map_err(CommandError::unrecordable)?;
            let _turn = commands.gate.enter().await?;
            let request = commands.executor.request(command, stream, key.as_deref(), metadata)?;
            commands.executor.execute::<A, C>(request).await
        })
    }
}

/// What caused a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    id: String,
    correlation_id: Option<String>,
}

impl From<&RecordedEvent> for Cause {
    fn from(event: &RecordedEvent) -> Self {
        Self { id: event.id.to_string(), correlation_id: event.metadata().correlation_id }
    }
}

impl<E> From<&Recorded<E>> for Cause {
    fn from(event: &Recorded<E>) -> Self {
        Self::from(&event.record)
    }
}

impl From<EventId> for Cause {
    fn from(id: EventId) -> Self {
        id.uuid().into()
    }
}

impl From<CommandId> for Cause {
    fn from(id: CommandId) -> Self {
        id.uuid().into()
    }
}

impl From<Uuid> for Cause {
    fn from(id: Uuid) -> Self {
        Self { id: id.to_string(), correlation_id: None }
    }
}

impl<A: Aggregate> fmt::Debug for On<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On").field("id", &format_args!("{}", self.id)).finish_non_exhaustive()
    }
}

impl<A: Aggregate, C: Command> fmt::Debug for Execute<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execute")
            .field("id", &format_args!("{}", self.id))
            .field("command", &C::NAME)
            .field("key", &self.key)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}
