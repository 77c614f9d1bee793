//! Applying a batch whatever happens: what can be tried again is, what cannot stops right before the event.

use std::{sync::Arc, time::Duration};

use annalist_core::{Cursor, Position, RecordedEvent, StoreError};
use tokio::sync::watch;
use tracing::Instrument;

use super::{
    instance::{Failure, Instance},
    options::{BACKOFF_LONGEST, ProjectionOptions},
};
use crate::env::Env;

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
            _ => {}
        }
        failure.transient = matches!(error, StoreError::Unavailable { .. });
        Self::Failed(failure)
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Applier {
    pub(super) name: &'static str,
    pub(super) options: Arc<ProjectionOptions>,
    pub(super) env: Arc<dyn Env>,
    pub(super) stop: Stop,
}

impl Applier {
    /// Applies and commits all events, which follow what is in the instance without a gap; `log` says of which log they
    /// are. `committed` hears of each commit: the new cursor, how many events it brought.
    pub(super) async fn apply(
        &mut self,
        instance: &dyn Instance,
        log: Cursor,
        events: &[RecordedEvent],
        mut committed: impl FnMut(Cursor, usize) + Send,
    ) -> Result<(), Halt> {
        let (mut rest, mut count, mut attempts) = (events, events.len(), 0);
        while let Some((batch, behind)) = rest.split_at_checked(count)
            && let Some(last) = batch.last()
        {
            let cursor = log.at(last.position);
            let span = tracing::debug_span!("annalist.projection", projection = self.name, position = %cursor.position);
            match instance.apply(batch, cursor).instrument(span).await {
                Ok(_) => {
                    committed(cursor, batch.len());
                    (rest, count, attempts) = (behind, behind.len(), 0);
                }
                // What stands before the event is committed first, so that the view ends right before it.
                Err(Failure { at: Some((index, _)), .. }) if index > 0 => count = index,
                Err(failure) => {
                    attempts += 1;
                    self.back_off(failure, attempts).await?;
                    // The answer to a commit may be lost while the commit is not.
                    let seen = self.seen(instance, &mut attempts).await?;
                    if !is_within(seen.position, rest) {
                        return Err(Halt::Failed(elsewhere(seen.position)));
                    }
                    let behind = behind_position(rest, seen.position);
                    if behind.len() < rest.len() {
                        committed(seen, rest.len() - behind.len());
                        (rest, attempts) = (behind, 0);
                    }
                    count = rest.len();
                }
            }
        }
        Ok(())
    }

    /// The cursor of an instance, as soon as it can be told.
    async fn seen(&mut self, instance: &dyn Instance, attempts: &mut u32) -> Result<Cursor, Halt> {
        loop {
            match instance.cursor().await {
                Ok(seen) => return Ok(seen),
                Err(error) => {
                    *attempts += 1;
                    self.back_off(error.into(), *attempts).await?;
                }
            }
        }
    }

    /// Waits before another attempt, longer each time; fails with the failure if there is no use in one.
    pub(super) async fn back_off(&mut self, mut failure: Failure, attempts: u32) -> Result<(), Halt> {
        if !failure.transient || (!failure.outage && attempts >= self.options.attempts_max) {
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
    Failure { at: None, transient: true, outage: false, error }
}

fn behind_position(events: &[RecordedEvent], position: Position) -> &[RecordedEvent] {
    events.get(events.partition_point(|event| event.position <= position)..).unwrap_or_default()
}
