//! What a handler is given.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use annalist_core::Metadata;

use super::message::Incoming;
use crate::{
    aggregate::{Aggregate, State},
    command::{Command, Commands, Decide, Execute, InScope, InboxMessage, On, Scope},
    trace::TraceContext,
};

/// A message with its payload decoded.
#[derive(Clone, Debug)]
pub struct Received<E> {
    /// The integration event.
    pub event: E,
    /// The message that brought it: id, source, subject, time.
    pub message: Arc<Incoming>,
}

/// By which a handler executes commands for one message. Clones share the numbering.
///
/// The commands are numbered in the order of the calls to `execute`, and each is recorded once under the message and its
/// number. So a handler must make the same commands in the same order each time: it may look at what the message says and at what
/// its commands replied (a repeated command replies as the first time), not at the time of day or at what a view says
/// now. A number that comes with another command is [`CommandError::KeyReused`](crate::CommandError::KeyReused), and
/// makes a dead letter.
///
/// Every command carries the correlation of the message and goes on with its trace, has the message as its cause and the message's source
/// as its actor.
#[derive(Clone)]
pub struct InboxContext {
    commands: Arc<Commands>,
    message: Arc<Incoming>,
    key: InboxMessage,
    attempt: u32,
    ordinal: Arc<AtomicU32>,
}

impl InboxContext {
    pub(super) fn new(commands: Arc<Commands>, inbox: &str, message: Arc<Incoming>, attempt: u32) -> Self {
        let key = InboxMessage::new(inbox, &*message.source, &*message.id);
        Self { commands, message, key, attempt, ordinal: Arc::default() }
    }

    /// One aggregate, to be told something because of the message: `cx.on::<Order>(id).execute(command).await`.
    pub fn on<A: Aggregate>(&self, id: A::Id) -> ForMessage<On<A>> {
        self.made(On::new(Arc::clone(&self.commands), id))
    }

    /// A scope, to be told something because of the message.
    pub fn scope<S: State>(&self) -> ForMessage<InScope<S>> {
        self.made(InScope::new(Arc::clone(&self.commands)))
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Incoming {
        &self.message
    }

    /// How often the message is tried by now, from 1, since the service was started.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    fn made<T>(&self, target: T) -> ForMessage<T> {
        ForMessage { target, cx: self.clone() }
    }

    fn circumstances<T, C>(&self, execute: Execute<T, C>) -> Execute<T, C> {
        let Incoming { id, source, metadata, .. } = &*self.message;
        let Metadata { correlation_id, traceparent, tracestate, .. } = metadata.clone();
        let metadata = Metadata {
            correlation_id: correlation_id.or_else(|| Some(id.clone())),
            actor: Some(source.clone()),
            ..Metadata::default()
        };
        let around = traceparent.map(|traceparent| TraceContext { traceparent, tracestate });
        let ordinal = self.ordinal.fetch_add(1, Ordering::Relaxed);
        execute.metadata(metadata).within(around).message(self.key.clone().ordinal(ordinal))
    }
}

impl fmt::Debug for InboxContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxContext").field("key", &self.key).field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

/// The target of a command that is executed because of a message.
#[must_use = "nothing happens until a command is executed"]
#[derive(Debug)]
pub struct ForMessage<T> {
    target: T,
    cx: InboxContext,
}

impl<A: Aggregate> ForMessage<On<A>> {
    /// A command to the aggregate, recorded once for the message. It is executed when it is awaited; its circumstances are the
    /// message's unless more is said.
    pub fn execute<C: Command>(self, command: C) -> Execute<On<A>, C>
    where
        A: Decide<C>,
    {
        self.cx.circumstances(self.target.execute(command))
    }
}

impl<S: State> ForMessage<InScope<S>> {
    /// A command to the scope, recorded once for the message.
    pub fn execute<C: Command>(self, command: C) -> Execute<InScope<S>, C>
    where
        S: Scope<C>,
    {
        self.cx.circumstances(self.target.execute(command))
    }
}
