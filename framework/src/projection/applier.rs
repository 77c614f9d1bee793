//! Applying a batch whatever happens: what can be tried again is, what cannot stops right before the event.

use std::{sync::Arc, time::Duration};

use annalist_core::{Cursor, Position, RecordedEvent, StoreError};
use tokio::{sync::watch, time::Instant};
use tracing::Instrument;

use super::{
    feed::Fed,
    instance::{Failure, Fault, Instance, Parking, parked_keys},
    options::{BACKOFF_LONGEST, ProjectionOptions},
    parking::{Parked, ParkedCount, ParkedKeys},
};
use crate::{env::Env, metrics::ProjectionMetrics, trace};

/// Tells that work is to end at the next point where it may.
#[derive(Clone)]
pub(super) struct Stop {
    /// Everything ends.
    pub(super) all: watch::Receiver<bool>,
    /// This piece of work ends.
    pub(super) this: Option<watch::Receiver<bool>>,
}

impl Stop {
    /// Waits until it is told. A teller that is gone has told.
    pub(super) async fn told(&mut self) {
        let Self { all, this } = self;
        let this = async {
            match this {
                Some(this) => drop(this.wait_for(|stop| *stop).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = all.wait_for(|stop| *stop) => {}
            () = this => {}
        }
    }
}

/// Why work ended before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// It was told to.
    Stopped,
    /// It cannot go on.
    Failed(Failure),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        let mut failure = Failure::of(&error);
        match error {
            StoreError::Closed => return Self::Stopped,
            StoreError::Corrupt { position, .. } => failure.at = Some((0, position)),
            StoreError::ForeignCursor { .. } => failure.fault = Fault::Foreign,
            _ => {}
        }
        failure.transient = matches!(error, StoreError::Unavailable { .. });
        Self::Failed(failure)
    }
}

/// How often in a row something failed. An outage does not use up the attempts that an event has.
#[derive(Default)]
pub(super) struct Tries {
    attempts: u32,
    outages: u32,
}

impl Tries {
    /// Counts a failure; tells the how manieth of its kind it is.
    pub(super) fn count(&mut self, failure: &Failure) -> u32 {
        let count = if failure.fault == Fault::Outage { &mut self.outages } else { &mut self.attempts };
        *count = count.saturating_add(1);
        *count
    }
}

/// What the applier tells as it goes on.
pub(super) enum Step<'a> {
    /// A transaction was committed: the cursor, how many events it brought, what is parked by now.
    Committed(Cursor, usize, ParkedCount),
    /// An attempt failed.
    Failed(&'a Failure),
}

/// See the module.
#[derive(Clone)]
pub(super) struct Applier {
    pub(super) name: &'static str,
    pub(super) options: Arc<ProjectionOptions>,
    /// How many keys it may park; `None`: it parks no further ones.
    pub(super) keys_max: Option<usize>,
    pub(super) env: Arc<dyn Env>,
    pub(super) stop: Stop,
    pub(super) measured: Arc<ProjectionMetrics>,
    /// Whether what it applies is a rebuild.
    pub(super) rebuilds: bool,
}

impl Applier {
    /// Applies and commits all events, which follow what is in the instance without a gap; `log` says of which log they
    /// are, `parked` which keys are parked, and is kept up.
    pub(super) async fn apply(
        &mut self,
        instance: &dyn Instance,
        log: Cursor,
        Fed { events, decoded, .. }: Fed,
        parked: &mut ParkedKeys,
        mut tell: impl FnMut(Step<'_>) + Send,
    ) -> Result<(), Halt> {
        let (mut rest, mut count, mut attempts) = (events.as_slice(), events.len(), 0);
        // Only the first attempt is at just these events.
        let mut decoded = decoded;
        // The first event of the rest, once it is given up.
        let mut poisoned = None::<Parked>;
        while let Some((batch, behind)) = rest.split_at_checked(count)
            && let Some(last) = batch.last()
        {
            let cursor = log.at(last.position);
            let began = Instant::now();
            let transaction = async {
                if let Some(note) = &poisoned {
                    instance.park(note, cursor).await.map(|parked| Vec::from_iter(parked.then(|| note.key.clone())))
                } else {
                    let parking = Parking { keys: parked, now: self.env.now() };
                    instance.apply(batch, decoded.take(), cursor, Some(parking)).await
                }
            };
            match self.spanned(batch, transaction).await {
                Ok(keys) => {
                    for key in keys {
                        parked.add(key);
                    }
                    self.committed(batch.len(), began);
                    tell(Step::Committed(cursor, batch.len(), parked.count()));
                    (rest, count, attempts, poisoned) = (behind, behind.len(), 0, None);
                }
                // Whoever waits for the store begins again where it is then: it may have come back with less or more.
                Err(failure) if failure.fault == Fault::Outage => {
                    tell(Step::Failed(&failure));
                    return Err(Halt::Failed(failure));
                }
                Err(failure) => {
                    look_again(instance, parked).await?;
                    // What stands before the event is committed first, so that the view ends right before it.
                    if let Some((index @ 1.., _)) = failure.at {
                        count = index;
                        continue;
                    }
                    attempts += 1;
                    tell(Step::Failed(&failure));
                    match self.back_off(failure, attempts).await {
                        Err(Halt::Failed(failure)) if poisoned.is_none() && failure.fault == Fault::Event => {
                            let Some(event) = rest.first() else { return Ok(()) };
                            poisoned =
                                Some(self.give_up(instance.key(event), event.position, failure, attempts, parked)?);
                            (count, attempts) = (1, 0);
                            continue;
                        }
                        backed_off => backed_off?,
                    }
                    // The answer to a commit may be lost while the commit is not.
                    let seen = instance.cursor().await.map_err(|error| Halt::Failed(error.into()))?;
                    if !is_within(seen.position, rest) {
                        return Err(Halt::Failed(elsewhere(seen.position)));
                    }
                    let behind = behind_position(rest, seen.position);
                    if behind.len() < rest.len() {
                        *parked = parked_keys(instance).await.map_err(|error| Halt::Failed(Failure::of(&error)))?;
                        tell(Step::Committed(seen, rest.len() - behind.len(), parked.count()));
                        (rest, attempts, poisoned) = (behind, 0, None);
                    }
                    count = if poisoned.is_some() { 1 } else { rest.len() };
                }
            }
        }
        Ok(())
    }

    /// What is done with events in a span of its own, linked to what recorded them.
    async fn spanned<T>(&self, batch: &[RecordedEvent], work: impl Future<Output = T>) -> T {
        let position = batch.last().map(|last| last.position.get());
        let (projection, events) = (self.name, batch.len());
        let span = tracing::debug_span!(parent: None, "annalist.projection", projection, position, events);
        async {
            trace::link(batch);
            work.await
        }
        .instrument(span)
        .await
    }

    fn committed(&self, events: usize, began: Instant) {
        let ProjectionMetrics { following, rebuild, batches } = &*self.measured;
        if self.rebuilds { rebuild } else { following }.add(events as u64);
        batches.took(began.elapsed());
    }

    /// One that parks nothing: the first event that cannot be applied is the end.
    pub(super) fn strict(&self) -> Self {
        Self { keys_max: None, ..self.clone() }
    }

    /// The note of an event that is parked, if it may be; the failure otherwise.
    fn give_up(
        &self,
        key: String,
        position: Position,
        failure: Failure,
        attempts: u32,
        parked: &ParkedKeys,
    ) -> Result<Parked, Halt> {
        let keys = parked.count().keys;
        match self.keys_max {
            Some(keys_max) if keys < keys_max as u64 => {
                tracing::error!(projection = self.name, key, %position, error = failure.error, "the key is parked");
                Ok(Parked { key, position, error: Some(failure.error), attempts, time: self.env.now() })
            }
            Some(_) => {
                let error = format!("{}; {keys} keys are parked already, as many as may be", failure.error);
                Err(Halt::Failed(Failure { error, ..failure }))
            }
            None => Err(Halt::Failed(failure)),
        }
    }

    /// Waits before another attempt, longer each time; fails with the failure if there is no use in one. An outage is waited
    /// for as long as it takes.
    pub(super) async fn back_off(&mut self, mut failure: Failure, attempts: u32) -> Result<(), Halt> {
        let outage = failure.fault == Fault::Outage;
        if !failure.transient || (!outage && attempts >= self.options.attempts_max) {
            failure.transient = false;
            return Err(Halt::Failed(failure));
        }
        let doubled = self.options.backoff_first.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let doubled = doubled.min(BACKOFF_LONGEST.max(self.options.backoff_first));
        let wait = Duration::try_from_secs_f64(doubled.as_secs_f64() * (0.5 + self.env.jitter())).unwrap_or(doubled);
        tracing::warn!(
            projection = self.name,
            attempts,
            ?wait,
            error = failure.error,
            "an attempt failed, trying again"
        );
        tokio::select! {
            biased;
            () = self.stop.told() => Err(Halt::Stopped),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}

/// When one of several transactions fails, the others may have parked events.
async fn look_again(instance: &dyn Instance, parked: &mut ParkedKeys) -> Result<(), Halt> {
    if instance.is_split() && instance.can_park() {
        *parked = parked_keys(instance).await.map_err(|error| Halt::Failed(error.into()))?;
    }
    Ok(())
}

/// Whether a position is that of one of these events, or right before them. Positions have no gaps.
fn is_within(position: Position, events: &[RecordedEvent]) -> bool {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return true };
    position <= last.position && position.get() + 1 >= first.position.get()
}

/// The instance is not where this writer left it: another one fills it, or its store was put back (a standby took over, a
/// backup was restored). The log must be read from there again.
fn elsewhere(position: Position) -> Failure {
    let error = format!(
        "the read model is at event {position}, where this writer did not leave it: another writer fills it, or its \
         store was put back"
    );
    Failure::moved(error)
}

fn behind_position(events: &[RecordedEvent], position: Position) -> &[RecordedEvent] {
    events.get(events.partition_point(|event| event.position <= position)..).unwrap_or_default()
}
