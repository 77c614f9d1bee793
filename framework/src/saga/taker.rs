//! Taking inputs in: load, step, append; after a conflict once more.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use annalist_core::{Cursor, StreamId, Version};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    awaited::Awaited,
    halt::{Halt, Trouble},
    model::{EffectId, Rejection, Saga},
    options::SagaOptions,
    record::{Audit, Entry, Kind, Quarantine},
    step,
    streams::{Instance, Step, StepError, Streams},
    woken::Woken,
};
use crate::{env::Env, event::Recorded, metrics::SagaMetrics};

/// Something for an instance to take in.
pub(super) enum Incoming<S: Saga> {
    Event { starts: bool, recorded: Box<Recorded<S::Event>> },
    Timer { id: Uuid },
    Settled { effect: EffectId, verdict: Verdict, audit: Option<Audit> },
}

/// What came of a command.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Accepted(serde_json::Value),
    Rejected(Rejection),
}

/// What became of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is recorded.
    Recorded(Cursor),
    /// It was recorded before.
    Repeated,
    /// There is no instance, or none any more, that it is for.
    Passed,
}

/// Takes inputs in for one saga.
pub(super) struct Taker<S: Saga> {
    pub(super) name: &'static str,
    pub(super) streams: Streams<S>,
    pub(super) env: Arc<dyn Env>,
    pub(super) options: SagaOptions,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) woken: Woken,
    pub(super) timers: Timers,
    pub(super) awaited: Awaited,
    /// An event was skipped that cannot be read.
    pub(super) unblocked: Notify,
    /// Events that were for no instance, or for a completed one.
    pub(super) passed: AtomicU64,
    pub(super) last_error: Mutex<Option<String>>,
    pub(super) measured: SagaMetrics,
}

/// Tells that timers may have been set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// What a view must have seen to know them all.
    seen: Mutex<Option<Cursor>>,
    pub(super) set: Notify,
}

impl Timers {
    /// Something is recorded at `cursor`.
    fn note(&self, cursor: Cursor, any: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none_or(|seen| seen.position < cursor.position) {
            *seen = Some(cursor);
        }
        drop(seen);
        if any {
            self.set.notify_one();
        }
    }

    pub(super) fn seen(&self) -> Option<Cursor> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one attempt came to.
pub(super) enum Done {
    Taken(Taken),
    /// The instance has changed: look again.
    Again,
}

impl Taken {
    pub(super) const fn cursor(self) -> Option<Cursor> {
        match self {
            Self::Recorded(cursor) => Some(cursor),
            Self::Repeated | Self::Passed => None,
        }
    }
}

/// What an instance is to others, behind a record.
#[derive(Clone, Copy)]
struct News {
    work: bool,
    timers: bool,
    rests: bool,
}

impl News {
    fn of(entry: &Entry) -> Self {
        Self { work: entry.has_work(), timers: !entry.running_timers().is_empty(), rests: entry.rests() }
    }
}

impl<S: Saga> Taker<S> {
    /// Takes an input in, for as long as that takes.
    pub(super) async fn take(&self, key: &str, incoming: &Incoming<S>) -> Result<Taken, Halt> {
        let (stream, mut failures) = (Streams::<S>::of(key)?, 0);
        loop {
            let attempt = self.attempt(key, &stream, incoming).await;
            if let Some(taken) = self.judge(attempt, &mut failures).await? {
                if let Taken::Recorded(_) = taken {
                    self.count(incoming);
                }
                return Ok(taken);
            }
        }
    }

    fn count(&self, incoming: &Incoming<S>) {
        let SagaMetrics { events, timers, acceptances, rejections, .. } = &self.measured;
        match incoming {
            Incoming::Event { .. } => events,
            Incoming::Timer { .. } => timers,
            Incoming::Settled { verdict: Verdict::Accepted(_), .. } => acceptances,
            Incoming::Settled { verdict: Verdict::Rejected(_), .. } => rejections,
        }
        .add(1);
    }

    /// Takes in the first of the inputs that an instance holds, if it may.
    pub(super) async fn take_held(&self, key: &str) -> Result<Taken, Halt> {
        let (stream, mut failures) = (Streams::<S>::of(key)?, 0);
        loop {
            let attempt = self.attempt_held(key, &stream).await;
            if let Some(taken) = self.judge(attempt, &mut failures).await? {
                return Ok(taken);
            }
        }
    }

    /// Puts an instance into quarantine because of a command that cannot be executed.
    pub(super) async fn quarantine(&self, key: &str, effect: EffectId, reason: &str) -> Result<Taken, Halt> {
        let (stream, mut failures) = (Streams::<S>::of(key)?, 0);
        loop {
            let attempt = self.attempt_quarantine(key, &stream, effect, reason).await;
            if let Some(taken) = self.judge(attempt, &mut failures).await? {
                return Ok(taken);
            }
        }
    }

    /// Lets an instance out of quarantine, if it is in one.
    pub(super) async fn release(&self, key: &str, audit: &Audit) -> Result<Taken, Halt> {
        let (stream, mut failures) = (Streams::<S>::of(key)?, 0);
        loop {
            let attempt = self.attempt_release(key, &stream, audit).await;
            if let Some(taken) = self.judge(attempt, &mut failures).await? {
                return Ok(taken);
            }
        }
    }

    /// What an attempt means: again at once (`None`) when the instance has changed, after a pause when the store cannot be
    /// used.
    async fn judge(&self, attempt: Result<Done, Trouble>, failures: &mut u32) -> Result<Option<Taken>, Halt> {
        match attempt {
            Ok(Done::Taken(taken)) => {
                if taken == Taken::Passed {
                    self.passed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Some(taken))
            }
            Ok(Done::Again) => {
                *failures = 0;
                Ok(None)
            }
            Err(Trouble::Passing(why)) => {
                *failures += 1;
                self.pause(*failures, &why).await?;
                Ok(None)
            }
            Err(Trouble::Halt(halt)) => Err(halt),
        }
    }

    async fn attempt_held(&self, key: &str, stream: &StreamId) -> Result<Done, Trouble> {
        match self.streams.load(stream).await? {
            Some(instance) if instance.entry.quarantine.is_none() => self.drain(key, stream, instance).await,
            _ => Ok(Done::Taken(Taken::Repeated)),
        }
    }

    async fn attempt_quarantine(
        &self,
        key: &str,
        stream: &StreamId,
        effect: EffectId,
        reason: &str,
    ) -> Result<Done, Trouble> {
        let waits = |entry: &Entry| entry.quarantine.is_none() && entry.pending.iter().any(|sent| sent.id == effect);
        let Some(instance) = self.streams.load(stream).await?.filter(|instance| waits(&instance.entry)) else {
            return Ok(Done::Taken(Taken::Repeated));
        };
        let entry = step::quarantine(&instance.entry, self.quarantine_for(reason, Some(effect)));
        let (id, cause) = (self.env.new_id(), Some(effect.uuid()));
        let step = Step { kind: Kind::Quarantined, entry, id, cause, key: None };
        self.record(key, stream, instance.version, step).await
    }

    async fn attempt_release(&self, key: &str, stream: &StreamId, audit: &Audit) -> Result<Done, Trouble> {
        let Some(instance) = self.streams.load(stream).await? else { return Ok(Done::Taken(Taken::Repeated)) };
        if instance.entry.quarantine.is_none() {
            self.found(key, &instance);
            let taken = if instance.entry.audit.as_ref() == Some(audit) {
                Taken::Recorded(instance.cursor)
            } else {
                Taken::Repeated
            };
            return Ok(Done::Taken(taken));
        }
        let entry = Entry { input: None, audit: Some(audit.clone()), quarantine: None, ..instance.entry };
        let step = Step { kind: Kind::Released, entry, id: self.env.new_id(), cause: None, key: None };
        self.record(key, stream, instance.version, step).await
    }

    /// Waits before another attempt.
    pub(super) async fn pause(&self, failures: u32, why: &str) -> Result<(), Halt> {
        let pause = self.options.backoff(failures, self.env.jitter());
        tracing::warn!(saga = self.name, failures, ?pause, error = why, "an attempt failed, trying again");
        self.failed(why.to_owned());
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stopped(&mut stop) => Err(Halt::Stopped),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Records a step that cannot be too large: it is no larger than one that was recorded before, but for its reason.
    pub(super) async fn record(&self, key: &str, stream: &StreamId, at: Version, step: Step) -> Result<Done, Trouble> {
        self.append(key, stream, at, step).await.map_err(|error| match error {
            StepError::Trouble(trouble) => trouble,
            StepError::Unrecordable(why) => Halt::Failed(format!("`{stream}` cannot be written: {why}")).into(),
        })
    }

    /// Records a step, and tells those who have something to do about it.
    pub(super) async fn append(
        &self,
        key: &str,
        stream: &StreamId,
        at: Version,
        step: Step,
    ) -> Result<Done, StepError> {
        let (kind, news) = (step.kind, News::of(&step.entry));
        let reason = step.entry.quarantine.as_ref().map(|quarantine| quarantine.reason.clone());
        let audit = step.entry.audit.clone();
        let Some(cursor) = self.streams.append(stream, at, step).await? else { return Ok(Done::Again) };
        if let (Kind::Quarantined | Kind::Taken, Some(reason)) = (kind, reason) {
            tracing::error!(saga = self.name, instance = key, reason, "the instance is in quarantine");
        }
        if let Some(Audit { who, why }) = audit {
            tracing::warn!(saga = self.name, instance = key, who, why, ?kind, "done by hand");
        }
        self.tell(key, cursor, news);
        Ok(Done::Taken(Taken::Recorded(cursor)))
    }

    /// Nothing is to be recorded; but what was may be that of an attempt that had no answer, so that nobody was told.
    pub(super) fn found(&self, key: &str, Instance { cursor, entry, .. }: &Instance) {
        self.tell(key, *cursor, News::of(entry));
    }

    fn tell(&self, key: &str, cursor: Cursor, News { work, timers, rests }: News) {
        if work {
            self.woken.wake(key);
        }
        if rests {
            self.awaited.tell(key);
        }
        self.timers.note(cursor, timers);
    }

    /// Keeps an error for the status.
    pub(super) fn failed(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn quarantine_for(&self, reason: &str, effect: Option<EffectId>) -> Quarantine {
        Quarantine { reason: reason.to_owned(), since: self.env.now(), effect }
    }
}

/// Waits until it is told to end, or nobody is left who could tell.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The error says that the teller is gone: that is an end, too.
    _ = stop.wait_for(|stop| *stop).await;
}
