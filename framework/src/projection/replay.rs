//! The work of a rebuild: an instance is filled from the log beside the live one, and takes its place.

use std::{sync::Arc, time::Duration};

use annalist_core::{Cursor, EventStore, Position};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::Instrument;

use super::{
    ahead::Ahead,
    applier::{Applier, Halt, Step},
    feed::Feed,
    instance::{Failure, Instance, chain, parked_keys},
    model::Kept,
    options::RebuildOptions,
    rebuild::{RebuildError, Rebuilt},
    runner::{Control, TakeOver},
    status::Progress,
};

/// What is to be put into place.
pub(super) enum Origin {
    /// An empty instance, which is still to be made.
    Fresh,
    /// One that a rebuild had begun to fill before the service was started again.
    Begun(Arc<dyn Instance>),
    /// The one that was live before; it has only to catch up.
    Previous(Arc<dyn Instance>),
}

/// See the module.
pub(super) struct Replay {
    pub(super) origin: Origin,
    /// Any instance of the projection's rows.
    pub(super) instance: Arc<dyn Instance>,
    pub(super) options: RebuildOptions,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) applier: Applier,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) paused: watch::Receiver<bool>,
}

impl Replay {
    /// Fills an instance and puts it into place, or leaves the live one as it is.
    pub(super) async fn run(mut self) -> Result<Rebuilt, RebuildError> {
        let name = self.applier.name;
        let span = tracing::info_span!("annalist.projection.rebuild", projection = name);
        let result = self.replay().instrument(span).await;
        let result = result.map_err(|halt| match halt {
            Halt::Stopped if self.goes_on() => RebuildError::Interrupted { name: name.to_owned() },
            Halt::Stopped => RebuildError::Cancelled { name: name.to_owned() },
            Halt::Failed(Failure { at, error, .. }) => {
                RebuildError::Failed { name: name.to_owned(), position: at.map(|(_, position)| position), error }
            }
        });
        // Nobody may be waiting for the result.
        match &result {
            Ok(rebuilt) => tracing::info!(projection = name, %rebuilt, "the view is rebuilt"),
            Err(error) => tracing::warn!(projection = name, %error, "the view is not rebuilt"),
        }
        result
    }

    /// Whether it was stopped only because everything was, so that it is taken up at the next start.
    fn goes_on(&self) -> bool {
        let cancelled = self.applier.stop.this.as_ref().is_some_and(|cancelled| *cancelled.borrow());
        self.instance.can_keep() && !cancelled && !matches!(self.origin, Origin::Previous(_))
    }

    async fn replay(&mut self) -> Result<Rebuilt, Halt> {
        let started = Instant::now();
        let shadow = match &self.origin {
            Origin::Fresh => self.begin().await?,
            Origin::Begun(begun) => Arc::clone(begun),
            Origin::Previous(previous) => Arc::clone(previous),
        };
        let result = match self.fill(&shadow, started).await {
            Ok(from) => self.hand_over(&shadow).await.map(|cursor| (from, cursor)),
            Err(halt) => Err(halt),
        };
        match result {
            Ok((from, cursor)) => {
                let events = cursor.position.get().saturating_sub(from.get());
                Ok(Rebuilt { events, cursor, duration: started.elapsed() })
            }
            Err(halt) => {
                let stays =
                    matches!(self.origin, Origin::Previous(_)) || matches!(halt, Halt::Stopped) && self.goes_on();
                if !stays && let Err(error) = shadow.discard().await {
                    let (name, error) = (self.applier.name, chain(&error));
                    tracing::warn!(projection = name, error, "what was replayed could not be dropped");
                }
                Err(halt)
            }
        }
    }

    /// Makes an empty instance that outlasts a restart, if the read model can keep one.
    async fn begin(&self) -> Result<Arc<dyn Instance>, Halt> {
        let shadow = self.instance.shadow().await?;
        self.note(&*shadow, false).await?;
        Ok(shadow)
    }

    async fn note(&self, shadow: &dyn Instance, paused: bool) -> Result<(), Halt> {
        if shadow.can_keep() && !matches!(self.origin, Origin::Previous(_)) {
            shadow.keep(Kept::Rebuild { options: self.options, paused }).await?;
        }
        Ok(())
    }

    /// Replays the log until little is left; tells where it began.
    async fn fill(&mut self, shadow: &Arc<dyn Instance>, started: Instant) -> Result<Position, Halt> {
        let mut head = self.events.head().await?;
        let mut cursor = shadow.cursor().await?;
        let mut parked = parked_keys(&**shadow).await?;
        let (from, mut pace) = (cursor.position, Pace::new(self.options));
        let options = Arc::clone(&self.applier.options);
        let feed = Feed::open(&*self.events, cursor, pace.batch(options.rebuild_batch_events)).await?;
        let mut feed = Ahead::new(feed, Arc::clone(shadow), head, options.rebuild_decoders);
        loop {
            self.tell(from, cursor, head, started);
            self.wait_while_paused(&**shadow, &mut pace).await?;
            let fed = tokio::select! {
                biased;
                () = self.applier.stop.told() => return Err(Halt::Stopped),
                fed = async { pace.wait().await; feed.next().await } => fed?,
            };
            let tell = |step: Step<'_>| {
                if let Step::Committed(committed, ..) = step {
                    cursor = committed;
                }
            };
            let (events, caught_up) = (fed.events.len(), fed.caught_up);
            self.applier.apply(&**shadow, head, fed, &mut parked, tell).await?;
            pace.did(events);
            head = self.events.head().await?;
            let left = head.position.get().saturating_sub(cursor.position.get());
            if caught_up || left < self.applier.options.live_batch_events as u64 {
                self.tell(from, cursor, head, started);
                return Ok(from);
            }
        }
    }

    fn tell(&self, from: Position, cursor: Cursor, head: Cursor, started: Instant) {
        self.progress.send_replace(Progress::new(from, cursor.position, head.position, started.elapsed()));
    }

    /// Waits as long as it is paused, which is noted, so that it still is after a restart.
    async fn wait_while_paused(&mut self, shadow: &dyn Instance, pace: &mut Pace) -> Result<(), Halt> {
        if !*self.paused.borrow_and_update() {
            return Ok(());
        }
        self.note(shadow, true).await?;
        self.progress.send_modify(|progress| progress.paused = true);
        tokio::select! {
            biased;
            () = self.applier.stop.told() => return Err(Halt::Stopped),
            // Whoever could have told it to go on is gone: then nobody wants it paused.
            _ = self.paused.wait_for(|paused| !paused) => {}
        }
        *pace = Pace::new(self.options);
        self.progress.send_modify(|progress| progress.paused = false);
        self.note(shadow, false).await
    }

    /// Lets the runner apply the rest and swap: between two of its transactions, so nobody writes to either meanwhile.
    async fn hand_over(&self, shadow: &Arc<dyn Instance>) -> Result<Cursor, Halt> {
        let (reply, answer) = oneshot::channel();
        let keep_previous = self.options.keep_previous;
        let (shadow, applier) = (Arc::clone(shadow), self.applier.clone());
        let asked = TakeOver { shadow, applier, keep_previous, reply };
        // A runner that is gone was shut down.
        self.control.send(Control::TakeOver(asked)).await.map_err(|_| Halt::Stopped)?;
        answer.await.map_err(|_| Halt::Stopped)?.map_err(Halt::Failed)
    }
}

/// Keeps a replay from being quicker than it may.
struct Pace {
    per_second_max: Option<u32>,
    /// When it may go on.
    next: Instant,
}

impl Pace {
    fn new(options: RebuildOptions) -> Self {
        Self { per_second_max: options.events_per_second_max.map(|events| events.max(1)), next: Instant::now() }
    }

    /// How many events belong in a transaction: at most a quarter of a second's, so that the pace is even.
    fn batch(&self, events_max: usize) -> usize {
        let quarter = self.per_second_max.map(|events| usize::try_from(events / 4).unwrap_or(usize::MAX));
        quarter.unwrap_or(events_max).clamp(1, events_max.max(1))
    }

    async fn wait(&self) {
        if self.per_second_max.is_some() {
            tokio::time::sleep_until(self.next).await;
        }
    }

    fn did(&mut self, events: usize) {
        if let Some(per_second) = self.per_second_max {
            let events = u32::try_from(events).unwrap_or(u32::MAX);
            self.next += Duration::from_secs(1).saturating_mul(events) / per_second;
        }
    }
}
