//! The path of a command: ask whether it was recorded, load, decide, append; on a conflict load the news and decide
//! again.

use std::sync::Arc;

use annalist_core::{
    Append, Appended, EventStore, Expected, Fingerprint, Key, Metadata, NewEvent, Read, StreamId, Version,
};
use tracing::Instrument;

use super::{
    Command, CommandError, CommandId, CommandOptions, Context, Decide, ExecuteError, Receipt, fingerprint::fingerprint,
};
use crate::{
    aggregate::{Aggregate, Aggregates, Loaded},
    env::Env,
    event::{EventSet, Events},
};

/// Executes commands.
pub(crate) struct Executor {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) aggregates: Aggregates,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) options: CommandOptions,
}

/// A command on its way.
pub(super) struct Request<C> {
    command: C,
    stream: StreamId,
    keyed: Option<(Key, Fingerprint)>,
    cx: Context,
    metadata: Metadata,
}

/// What comes of a command.
pub(super) type Executed<A, C> = Result<Receipt<<A as Decide<C>>::Reply>, ExecuteError<<A as Decide<C>>::Rejection>>;

impl Executor {
    /// Makes a request of what the caller said.
    pub(super) fn request<C: Command>(
        &self,
        command: C,
        stream: StreamId,
        key: Option<&str>,
        mut metadata: Metadata,
    ) -> Result<Request<C>, CommandError> {
        let keyed = match key {
            Some(id) => {
                let key = Key::new(stream.as_str(), id).map_err(CommandError::unrecordable)?;
                Some((key, fingerprint(&command).map_err(CommandError::unrecordable)?))
            }
            None => None,
        };
        let new_id = || CommandId::new(self.env.new_id());
        let command_id = keyed.as_ref().map_or_else(new_id, |(key, _)| CommandId::of_key(key));
        let correlation_id = metadata.correlation_id.get_or_insert_with(|| command_id.to_string());
        let cx = Context::new(command_id, self.env.now())
            .with_correlation_id(correlation_id.clone())
            .with_actor(metadata.actor.clone());
        metadata.causation_id.get_or_insert_with(|| command_id.to_string());
        Ok(Request { command, stream, keyed, cx, metadata })
    }

    /// Executes a request, several times if need be.
    pub(super) async fn execute<A: Aggregate + Decide<C>, C: Command>(&self, request: Request<C>) -> Executed<A, C> {
        let span = tracing::info_span!(
            "annalist.command",
            stream_id = %request.stream,
            command = C::NAME,
            command_id = %request.cx.command_id(),
            correlation_id = request.cx.correlation_id(),
        );
        self.execute_patiently::<A, C>(&request).instrument(span).await
    }

    async fn execute_patiently<A: Aggregate + Decide<C>, C: Command>(&self, request: &Request<C>) -> Executed<A, C> {
        let mut loaded = None;
        let mut failed = 0;
        loop {
            let error = match self.attempt::<A, C>(request, &mut loaded).await {
                Err(ExecuteError::Failed(
                    error @ (CommandError::Contended { .. } | CommandError::Unavailable { .. }),
                )) => error,
                done => return done,
            };
            failed += 1;
            if failed >= self.options.attempts_max {
                return Err(match error {
                    CommandError::Contended { stream, .. } => CommandError::Contended { stream, attempts: failed },
                    other => other,
                }
                .into());
            }
            let pause = self.options.backoff(failed, self.env.jitter());
            tracing::debug!(%error, attempt = failed, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt. What it loads stays in `loaded` for the next.
    async fn attempt<A: Aggregate + Decide<C>, C: Command>(
        &self,
        request: &Request<C>,
        loaded: &mut Option<Loaded<A>>,
    ) -> Executed<A, C> {
        let Request { command, stream, cx, .. } = request;
        let loaded = match loaded {
            Some(loaded) => {
                self.aggregates.catch_up(stream, loaded).await.map_err(CommandError::from)?;
                loaded
            }
            none => {
                if let Some(receipt) = self.recorded(request).await? {
                    return Ok(receipt);
                }
                none.insert(self.aggregates.load(stream).await.map_err(CommandError::from)?)
            }
        };
        let (events, reply) = match loaded.state.decide(command, cx) {
            Ok(decision) => decision.into_parts(),
            // The same command, sent twice at the same time, may be refused because of what its twin has done.
            Err(rejection) => return self.recorded(request).await?.ok_or(ExecuteError::Rejected(rejection)),
        };
        let append = request.append(loaded.version, &events, &reply)?;
        let Appended { cursor, repeated, .. } = match self.append(append, request).await {
            Err(error @ CommandError::Unknown { .. }) => {
                // The store may know by now. If not, it is still unknown, whatever is in the way of asking.
                let recorded = self.recorded(request).await;
                return recorded.ok().flatten().ok_or(ExecuteError::Failed(error));
            }
            done => done?,
        };
        if repeated {
            let gone = || CommandError::Unavailable { why: "the store knows the key but not its outcome".to_owned() };
            return Ok(self.recorded(request).await?.ok_or_else(gone)?);
        }
        loaded.evolve(&events);
        let (version, command_id, count) = (loaded.version, cx.command_id(), count(&events));
        if count > 0 {
            self.aggregates.keep(stream, loaded, command_id.event_id(count - 1)).await;
        }
        Ok(Receipt { reply, cursor, version, events: count, repeated: false, command_id })
    }

    async fn append<C>(&self, append: Append, request: &Request<C>) -> Result<Appended, CommandError> {
        let Request { stream, keyed, cx, .. } = request;
        let span = tracing::debug_span!("annalist.append", stream_id = %stream, command_id = %cx.command_id());
        let appended = self.events.append(append).instrument(span).await;
        appended.map_err(|error| CommandError::of_append(error, stream, keyed.as_ref().map(|(key, _)| key)))
    }

    /// The receipt of a command that was recorded before, if it has a key and was.
    async fn recorded<C, R: serde::de::DeserializeOwned>(
        &self,
        request: &Request<C>,
    ) -> Result<Option<Receipt<R>>, CommandError> {
        let Some((key, fingerprint)) = &request.keyed else { return Ok(None) };
        let Some(outcome) = self.events.outcome(key).await? else { return Ok(None) };
        if outcome.fingerprint != *fingerprint {
            return Err(CommandError::KeyReused { key: key.clone() });
        }
        let unreadable = |error: serde_json::Error| CommandError::Reply { key: key.clone(), detail: error.to_string() };
        let reply = serde_json::from_slice(&outcome.reply).map_err(unreadable)?;
        let Appended { after, cursor, streams, .. } = outcome.appended;
        let written = streams.iter().find(|(stream, _)| *stream == request.stream);
        let (version, events) = match written {
            Some((_, version)) => (*version, cursor.position.get().saturating_sub(after.get())),
            None => (self.version(&request.stream).await?, 0),
        };
        let command_id = request.cx.command_id();
        Ok(Some(Receipt { reply, cursor, version, events, repeated: true, command_id }))
    }

    /// The last version of a stream.
    async fn version(&self, stream: &StreamId) -> Result<Version, CommandError> {
        let mut batches = self.events.read(Read::stream_backward(stream.clone(), Version::MAX).limit(1)).await?;
        Ok(batches.next().await?.first().map_or(Version::ZERO, |last| last.version))
    }
}

impl<C> Request<C> {
    /// What is to be recorded of a decision on a stream at `version`. Without events it is a guard: the decision holds
    /// only if the stream is still the one that it was made on.
    fn append<E: EventSet, R: serde::Serialize>(
        &self,
        version: Version,
        events: &[E],
        reply: &R,
    ) -> Result<Append, CommandError> {
        let events = (0..).zip(events).map(|(ordinal, event)| self.event(ordinal, event));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        let append = Append::new().events(self.stream.clone(), Expected::Exact(version), events);
        let Some((key, fingerprint)) = &self.keyed else { return Ok(append) };
        let reply = serde_json::to_vec(reply).map_err(CommandError::unrecordable)?;
        Ok(append.keyed(key.clone(), *fingerprint, reply))
    }

    fn event<E: Events>(&self, ordinal: u64, event: &E) -> Result<NewEvent, CommandError> {
        let id = self.cx.command_id().event_id(ordinal);
        Ok(event.write()?.with_id(id).with_metadata(self.metadata.clone()))
    }
}

fn count<E>(events: &[E]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}
