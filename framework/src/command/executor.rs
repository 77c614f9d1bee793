//! The path of a command: ask whether it was recorded, load, decide, append; on a conflict load the news and decide
//! again.

use std::sync::Arc;

use annalist_core::{Append, Appended, Fingerprint, Key, Metadata, SYSTEM_STREAM};
use serde::Serialize;
use tracing::{Instrument, Span};

use super::{
    Command, CommandError, CommandId, CommandOptions, Context, Decide, ExecuteError, Progress, Receipt, Target,
    basis::{Basis, Emitted, EventOf},
};
use crate::{
    aggregate::Aggregates,
    env::Env,
    event::Events,
    trace::{TraceContext, Tracer},
};

/// Executes commands.
pub(crate) struct Executor {
    pub(crate) aggregates: Aggregates,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) tracer: Tracer,
    pub(crate) options: CommandOptions,
}

/// A command on its way.
pub(super) struct Request<C> {
    pub(super) command: C,
    keyed: Option<(Key, Fingerprint)>,
    pub(super) cx: Context,
    pub(super) metadata: Metadata,
    span: Span,
}

/// What comes of a command.
pub(super) type Executed<B, C> = Result<Receipt<Reply<B, C>, <B as Basis<C>>::Version>, ExecuteError<Rejection<B, C>>>;

type Reply<B, C> = <<B as Basis<C>>::State as Decide<C>>::Reply;
type Rejection<B, C> = <<B as Basis<C>>::State as Decide<C>>::Rejection;

impl Executor {
    /// Makes a request of what the caller said.
    pub(super) fn request<C: Command>(
        &self,
        command: C,
        keyed: Option<(Key, Fingerprint)>,
        mut metadata: Metadata,
        around: Option<TraceContext>,
        target: &Target,
    ) -> Request<C> {
        let new_id = || CommandId::new(self.env.new_id());
        let command_id = keyed.as_ref().map_or_else(new_id, |(key, _)| CommandId::of_key(key));
        let correlation_id = metadata.correlation_id.get_or_insert_with(|| command_id.to_string());
        let cx = Context::new(command_id, self.env.now())
            .with_correlation_id(correlation_id.clone())
            .with_actor(metadata.actor.clone());
        metadata.causation_id.get_or_insert_with(|| command_id.to_string());
        let (stream, query) = match target {
            Target::Stream(stream) => (Some(tracing::field::display(stream)), None),
            Target::Query(query) => (None, Some(tracing::field::display(query))),
        };
        let span = tracing::info_span!(
            "annalist.command",
            stream_id = stream,
            query,
            command = C::NAME,
            command_id = %command_id,
            correlation_id = cx.correlation_id(),
            position = tracing::field::Empty,
        );
        // Within the span: so its events name it as what they were recorded in.
        span.in_scope(|| self.tracer.fill(&mut metadata, around));
        Request { command, keyed, cx, metadata, span }
    }

    /// Executes a request, several times if need be.
    pub(super) async fn execute<B: Basis<C>, C: Command>(
        &self,
        request: &Request<C>,
        basis: &B,
        progress: &Progress,
    ) -> Executed<B, C> {
        let mut loaded = None;
        let executing = self.execute_patiently(request, basis, progress, &mut loaded);
        let executed = executing.instrument(request.span.clone()).await;
        if let Ok(receipt) = &executed {
            request.span.record("position", receipt.cursor.position.get());
        }
        progress.answer();
        if let Some(loaded) = loaded {
            basis.cache(&self.aggregates, loaded);
        }
        executed
    }

    async fn execute_patiently<B: Basis<C>, C: Command>(
        &self,
        request: &Request<C>,
        basis: &B,
        progress: &Progress,
        loaded: &mut Option<B::Loaded>,
    ) -> Executed<B, C> {
        let mut failed = 0;
        loop {
            let error = match self.attempt(request, basis, progress, loaded).await {
                Err(ExecuteError::Failed(
                    error @ (CommandError::Contended { .. } | CommandError::Unavailable { .. }),
                )) => error,
                done => return done,
            };
            failed += 1;
            if failed >= self.options.attempts_max {
                return Err(match error {
                    CommandError::Contended { target, .. } => CommandError::Contended { target, attempts: failed },
                    other => other,
                }
                .into());
            }
            progress.retry();
            let pause = self.options.backoff(failed, self.env.jitter());
            tracing::debug!(%error, attempt = failed, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt. What it loads stays in `loaded` for the next.
    async fn attempt<B: Basis<C>, C: Command>(
        &self,
        request: &Request<C>,
        basis: &B,
        progress: &Progress,
        loaded: &mut Option<B::Loaded>,
    ) -> Executed<B, C> {
        // What an earlier command left may be behind by now. An append says so; before a rejection one must ask.
        let mut may_be_old = false;
        let loaded = match loaded {
            Some(loaded) => {
                basis.catch_up(&self.aggregates, loaded).await.map_err(CommandError::from)?;
                loaded
            }
            none => {
                if let Some(receipt) = self.recorded(request, basis).await? {
                    return Ok(receipt);
                }
                none.insert(if let Some(cached) = basis.cached(&self.aggregates) {
                    may_be_old = true;
                    cached
                } else {
                    basis.load(&self.aggregates).await.map_err(CommandError::from)?
                })
            }
        };
        loop {
            let executed = self.decide(request, basis, progress, loaded).await;
            let old = matches!(
                executed,
                Err(ExecuteError::Rejected(_) | ExecuteError::Failed(CommandError::Contended { .. }))
            );
            if !(may_be_old && old) {
                return executed;
            }
            may_be_old = false;
            basis.catch_up(&self.aggregates, loaded).await.map_err(CommandError::from)?;
        }
    }

    /// Decides on what is loaded, and records it.
    async fn decide<B: Basis<C>, C: Command>(
        &self,
        request: &Request<C>,
        basis: &B,
        progress: &Progress,
        loaded: &mut B::Loaded,
    ) -> Executed<B, C> {
        let (events, reply) = match B::state(loaded).decide(&request.command, &request.cx) {
            Ok(decision) => decision.into_parts(),
            // The same command, sent twice at the same time, may be refused because of what its twin has done.
            Err(rejection) => return self.recorded(request, basis).await?.ok_or(ExecuteError::Rejected(rejection)),
        };
        let append = request.append(basis, loaded, &events, &reply)?;
        let bytes = payload_bytes(&append);
        progress.hand_over();
        let appended = self.append(append, request, basis.target()).await;
        match &appended {
            Ok(_) => progress.answer(),
            Err(CommandError::Unknown { .. }) => {}
            Err(_) => progress.take_back(),
        }
        let Appended { cursor, repeated, .. } = match appended {
            Err(error @ CommandError::Unknown { .. }) => {
                // The store may know by now. If not, it is still unknown, whatever is in the way of asking.
                let recorded = self.recorded(request, basis).await;
                return recorded.ok().flatten().ok_or(ExecuteError::Failed(error));
            }
            done => done?,
        };
        if repeated {
            let gone = || CommandError::Unavailable { why: "the store knows the key but not its outcome".to_owned() };
            return Ok(self.recorded(request, basis).await?.ok_or_else(gone)?);
        }
        let (command_id, count) = (request.cx.command_id(), count(&events));
        let last = count.checked_sub(1).map(|ordinal| command_id.event_id(ordinal));
        let version = basis.take_in(&self.aggregates, loaded, &events, bytes, last).await;
        Ok(Receipt { reply, cursor, version, events: count, repeated: false, command_id })
    }

    async fn append<C>(&self, append: Append, request: &Request<C>, target: &Target) -> Result<Appended, CommandError> {
        let Request { keyed, cx, .. } = request;
        let span = tracing::debug_span!(
            "annalist.append",
            command_id = %cx.command_id(),
            correlation_id = cx.correlation_id(),
            position = tracing::field::Empty
        );
        let appended = self.aggregates.events.append(append).instrument(span.clone()).await;
        if let Ok(appended) = &appended {
            span.record("position", appended.cursor.position.get());
        }
        appended.map_err(|error| CommandError::of_append(error, target, keyed.as_ref().map(|(key, _)| key)))
    }

    /// The receipt of a command that was recorded before, if it has a key and was.
    async fn recorded<B: Basis<C>, C: Command>(
        &self,
        request: &Request<C>,
        basis: &B,
    ) -> Result<Option<Receipt<Reply<B, C>, B::Version>>, CommandError> {
        let Some((key, fingerprint)) = &request.keyed else { return Ok(None) };
        let Some(outcome) = self.aggregates.events.outcome(key).await? else { return Ok(None) };
        if outcome.fingerprint != *fingerprint {
            return Err(CommandError::KeyReused { key: key.clone() });
        }
        let unreadable = |error: serde_json::Error| CommandError::Reply { key: key.clone(), detail: error.to_string() };
        let reply = serde_json::from_slice(&outcome.reply).map_err(unreadable)?;
        let version = basis.version(&self.aggregates, &outcome.appended).await?;
        let Appended { after, cursor, streams, .. } = outcome.appended;
        // A decision without events has only the store's own note.
        let any = streams.iter().any(|(stream, _)| stream.as_str() != SYSTEM_STREAM);
        let events = if any { cursor.position.get().saturating_sub(after.get()) } else { 0 };
        let command_id = request.cx.command_id();
        Ok(Some(Receipt { reply, cursor, version, events, repeated: true, command_id }))
    }
}

impl<C: Command> Request<C> {
    /// What is to be recorded of a decision on what was loaded.
    fn append<B: Basis<C>>(
        &self,
        basis: &B,
        loaded: &B::Loaded,
        events: &[EventOf<B, C>],
        reply: &impl Serialize,
    ) -> Result<Append, CommandError> {
        let events = (0..).zip(events).map(|(ordinal, event)| self.emitted(ordinal, event));
        let append = basis.append(&self.command, loaded, events.collect::<Result<Vec<_>, _>>()?)?;
        let Some((key, fingerprint)) = &self.keyed else { return Ok(append) };
        let reply = serde_json::to_vec(reply).map_err(CommandError::unrecordable)?;
        Ok(append.keyed(key.clone(), *fingerprint, reply))
    }

    fn emitted<'a, E: Events>(&self, ordinal: u64, event: &'a E) -> Result<Emitted<'a, E>, CommandError> {
        let (id, written) = (self.cx.command_id().event_id(ordinal), event.write()?);
        let category = written.category;
        Ok(Emitted { event, category, record: written.with_id(id).with_metadata(self.metadata.clone()) })
    }
}

/// Bytes of all payloads.
fn payload_bytes(append: &Append) -> u64 {
    let events = append.entries.iter().flat_map(|entry| &entry.events);
    events.map(|event| u64::try_from(event.payload.len()).unwrap_or(u64::MAX)).sum()
}

fn count<E>(events: &[E]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}
