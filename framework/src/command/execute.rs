//! How a caller says what is to be executed.

use std::{fmt, future::IntoFuture};

use annalist_core::{EventId, Key, Metadata, RecordedEvent};
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Command, CommandError, CommandId, CommandInfo, Deadline, Decide, ExecuteError, Executor, Gate, InScope,
    InboxMessage, Layers, On, Progress, Receipt, Scope, Surroundings, basis::Basis, executor::Executed,
    fingerprint::fingerprint, scope::QueryBasis, stream::StreamBasis,
};
use crate::{
    aggregate::{Aggregate, stream_of},
    event::Recorded,
    metrics::CommandMetrics,
    trace::TraceContext,
};

/// What executes commands, behind its gate and within its layers.
pub(crate) struct Commands {
    pub(crate) executor: Executor,
    pub(crate) gate: Gate,
    pub(crate) layers: Layers,
    pub(crate) metrics: CommandMetrics,
    pub(crate) surroundings: Surroundings,
}

/// A command to an aggregate ([`On`]) or a scope ([`InScope`]), with its circumstances. Awaiting it executes it.
///
/// Dropping the future ends the execution where it is. Before the append is handed to the store nothing is recorded, and the
/// command's turn goes to another. Afterwards it may be recorded, whole or not at all, and nobody is told: execute it again
/// with the same key, and the answer of that time comes back, marked as repeated, or it is executed now.
#[must_use = "a command does nothing until it is awaited"]
pub struct Execute<T, C> {
    target: T,
    command: C,
    said: Said,
}

/// What the caller says beside the command.
#[derive(Debug, Default)]
struct Said {
    key: Option<KeyOf>,
    metadata: Metadata,
    deadline: Option<Deadline>,
    /// The trace that it goes on with, unless the span that it is executed in knows better.
    around: Option<TraceContext>,
}

/// By what a repetition is recognised.
#[derive(Debug)]
enum KeyOf {
    /// An id that is unique for the target.
    Target(String),
    /// A message from elsewhere.
    Message(InboxMessage),
}

impl<T, C> Execute<T, C> {
    pub(super) fn new(target: T, command: C) -> Self {
        Self { target, command, said: Said::default() }
    }

    /// Records the command once: executed again on the same aggregate or scope with the same key it is answered as the first
    /// time, whatever that looks like by now. Take what identifies the request: the client's request id, the
    /// number of a row, the id of a message. A rejected command is not recorded.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.said.key = Some(KeyOf::Target(key.into()));
        self
    }

    /// Records the command once for a message from elsewhere, in the place of a key: when the message is delivered again,
    /// the answer of the first time comes back, marked as repeated. Whoever makes several commands of one message numbers
    /// them by [`InboxMessage::ordinal`]. Unlike a key, the message is recognised whatever the command goes to: the same one
    /// for another command, or for another target, is [`CommandError::KeyReused`]. Unless it is said what caused the
    /// command, it was the message.
    pub fn message(mut self, message: InboxMessage) -> Self {
        self.said.key = Some(KeyOf::Message(message));
        self
    }

    /// Until when to wait, instead of what [`CommandOptions::deadline`](crate::CommandOptions::deadline) says: for its turn, for
    /// layers, for attempts and the pauses between them, and for the store's answer. If it passes before the command is
    /// handed to the store the answer is [`CommandError::DeadlineExceeded`] and nothing is recorded; afterwards it is
    /// [`CommandError::Unknown`]. An answer that is there by then is given.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.said.deadline = Some(deadline.into());
        self
    }

    /// The business conversation that it belongs to. Without it, it begins one: its correlation id is its own id.
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.said.metadata.correlation_id = Some(id.into());
        self
    }

    /// What caused it: a recorded event, or an id. Its events name that as their cause, instead of the command itself;
    /// from an event the command takes over the correlation too, unless it has one.
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        let Cause { id, correlation_id } = cause.into();
        self.said.metadata.causation_id = Some(id);
        self.said.metadata.correlation_id = self.said.metadata.correlation_id.or(correlation_id);
        self
    }

    /// The person or service in whose name it is executed.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.said.metadata.actor = Some(actor.into());
        self
    }

    /// The tenant that it belongs to.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.said.metadata.tenant = Some(tenant.into());
        self
    }

    /// The W3C trace context that it is part of.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.said.metadata.traceparent = Some(traceparent.into());
        self
    }

    /// The same, unless the current span says where in the trace it is.
    pub(crate) fn within(mut self, around: Option<TraceContext>) -> Self {
        self.said.around = around;
        self
    }

    /// Something else to be kept with its events, by name.
    pub fn pair(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.said.metadata.pairs.insert(name.into(), value.into());
        self
    }

    /// All circumstances at once, replacing those given before.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.said.metadata = metadata;
        self
    }
}

impl<A: Aggregate + Decide<C>, C: Command> IntoFuture for Execute<On<A>, C> {
    type Output = Result<Receipt<A::Reply>, ExecuteError<A::Rejection>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { target: On { commands, id }, command, said } = self;
        Box::pin(async move {
            let stream = stream_of::<A>(&id).map_err(CommandError::unrecordable)?;
            commands.run(&StreamBasis::<A>::new(stream), command, said).await
        })
    }
}

impl<S: Scope<C>, C: Command> IntoFuture for Execute<InScope<S>, C> {
    type Output = Result<Receipt<S::Reply, ()>, ExecuteError<S::Rejection>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { target: InScope { commands, .. }, command, said } = self;
        Box::pin(async move {
            let query = S::query(&command).map_err(CommandError::unrecordable)?;
            commands.run(&QueryBasis::<S>::new(query), command, said).await
        })
    }
}

impl Commands {
    async fn run<B: Basis<C>, C: Command>(&self, basis: &B, command: C, said: Said) -> Executed<B, C> {
        let Said { key, mut metadata, mut deadline, around } = said;
        let keyed = match key {
            None => None,
            Some(KeyOf::Target(id)) => {
                let key = Key::new(basis.key_scope(), id).map_err(CommandError::unrecordable)?;
                Some((key, fingerprint(&command, None).map_err(CommandError::unrecordable)?))
            }
            Some(KeyOf::Message(message)) => {
                let key = message.key().map_err(CommandError::unrecordable)?;
                metadata.causation_id.get_or_insert_with(|| message.id().to_owned());
                let target = basis.key_scope();
                Some((key, fingerprint(&command, Some(&target)).map_err(CommandError::unrecordable)?))
            }
        };
        let around = around.or(self.surroundings.fill_in(&mut metadata, &mut deadline));
        let key = keyed.as_ref().map(|(key, _)| key.clone());
        let deadline = deadline.or(self.executor.options.deadline.map(Deadline::In));
        let (progress, began) = (Progress::default(), Instant::now());
        let execution = async {
            let _turn = self.gate.enter().await?;
            let request = self.executor.request(command, keyed, metadata, around, basis.target());
            let info = CommandInfo {
                name: C::NAME,
                target: basis.target(),
                key: key.as_ref().map(Key::id),
                cx: &request.cx,
                metadata: &request.metadata,
                payload: &|| serde_json::to_value(&request.command),
            };
            let execution = self.executor.execute(&request, basis, &progress);
            let given_up = |refused| progress.given_up(key.as_ref(), || refused);
            self.layers.around(&info, execution, given_up).await
        };
        let executed = progress.until(deadline, key.as_ref(), execution).await;
        let outcome = match &executed {
            Ok(receipt) if receipt.repeated => "repeated",
            Ok(_) => "recorded",
            Err(ExecuteError::Rejected(_)) => "rejected",
            Err(ExecuteError::Failed(error)) => error.kind(),
        };
        self.metrics.executed(C::NAME, outcome, progress.retries(), began.elapsed());
        executed
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

impl<T: fmt::Debug, C: Command> fmt::Debug for Execute<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execute")
            .field("target", &self.target)
            .field("command", &C::NAME)
            .field("circumstances", &self.said)
            .finish_non_exhaustive()
    }
}
