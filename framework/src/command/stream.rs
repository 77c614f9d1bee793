//! Decisions of an aggregate: they rest on its stream.

use std::{fmt, marker::PhantomData, sync::Arc};

use annalist_core::{Append, Appended, EventId, Expected, Read, StreamId, Version};

use super::{
    Command, CommandError, Decide, Execute, Target,
    basis::{Basis, Emitted},
    execute::Commands,
};
use crate::aggregate::{Aggregate, Aggregates, LoadError, Loaded};

/// One aggregate, to be told something.
#[must_use = "nothing happens until a command is executed"]
pub struct On<A: Aggregate> {
    pub(super) commands: Arc<Commands>,
    pub(super) id: A::Id,
}

impl<A: Aggregate> On<A> {
    pub(crate) fn new(commands: Arc<Commands>, id: A::Id) -> Self {
        Self { commands, id }
    }

    /// A command to it. It is executed when it is awaited.
    pub fn execute<C: Command>(self, command: C) -> Execute<Self, C>
    where
        A: Decide<C>,
    {
        Execute::new(self, command)
    }
}

impl<A: Aggregate> fmt::Debug for On<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On").field("id", &format_args!("{}", self.id)).finish_non_exhaustive()
    }
}

/// The stream of an aggregate: a decision holds at exactly the version that it was made on.
pub(super) struct StreamBasis<A> {
    stream: StreamId,
    target: Target,
    aggregate: PhantomData<fn() -> A>,
}

impl<A> StreamBasis<A> {
    pub(super) fn new(stream: StreamId) -> Self {
        Self { target: Target::Stream(stream.clone()), stream, aggregate: PhantomData }
    }
}

impl<A: Aggregate + Decide<C>, C: Command> Basis<C> for StreamBasis<A> {
    type State = A;
    type Loaded = Loaded<A>;
    type Version = Version;

    fn target(&self) -> &Target {
        &self.target
    }

    fn key_scope(&self) -> String {
        self.stream.to_string()
    }

    fn state(loaded: &Loaded<A>) -> &A {
        &loaded.state
    }

    fn cached(&self, aggregates: &Aggregates) -> Option<Loaded<A>> {
        aggregates.take_cached(&self.stream)
    }

    fn cache(&self, aggregates: &Aggregates, loaded: Loaded<A>) {
        aggregates.cache(&self.stream, loaded);
    }

    async fn load(&self, aggregates: &Aggregates) -> Result<Loaded<A>, LoadError> {
        aggregates.load(&self.stream).await
    }

    async fn catch_up(&self, aggregates: &Aggregates, loaded: &mut Loaded<A>) -> Result<(), LoadError> {
        aggregates.catch_up(&self.stream, loaded).await
    }

    fn append(&self, _: &C, loaded: &Loaded<A>, events: Vec<Emitted<'_, A::Event>>) -> Result<Append, CommandError> {
        let events = events.into_iter().map(|emitted| emitted.record);
        Ok(Append::new().events(self.stream.clone(), Expected::Exact(loaded.version), events))
    }

    async fn take_in(
        &self,
        aggregates: &Aggregates,
        loaded: &mut Loaded<A>,
        events: &[A::Event],
        bytes: u64,
        last: Option<EventId>,
    ) -> Version {
        loaded.evolve(events, bytes);
        if let Some(last) = last {
            aggregates.keep(&self.stream, loaded, last).await;
        }
        loaded.version
    }

    async fn version(&self, aggregates: &Aggregates, recorded: &Appended) -> Result<Version, CommandError> {
        if let Some((_, version)) = recorded.streams.iter().find(|(stream, _)| *stream == self.stream) {
            return Ok(*version);
        }
        let last = Read::stream_backward(self.stream.clone(), Version::MAX).limit(1);
        let mut batches = aggregates.events.read(last).await?;
        Ok(batches.next().await?.first().map_or(Version::ZERO, |last| last.version))
    }
}
