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
    applier::{Applier, Halt, Step, Tries},
    blocking::program,
    feed::Feed,
    instance::{Failure, Fault, Instance, chain, located, parked_keys},
    model::Unfinished,
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
    /// As fresh: another program had begun to fill this one.
    Outdated(Arc<dyn Instance>),
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
        let program = program(&self.applier.env).await?;
        let mut run = Run { program, started: Instant::now(), from: None, tries: Tries::default() };
        let shadow = match &self.origin {
            Origin::Fresh => self.begin(&run).await?,
            Origin::Begun(begun) => Arc::clone(begun),
            Origin::Outdated(outdated) => {
                let shadow = self.begin(&run).await?;
                // Only now, so that there is a rebuild to go on with whenever this ends.
                self.discard(&**outdated).await;
                shadow
            }
            Origin::Previous(previous) => Arc::clone(previous),
        };
        match self.fill_and_hand_over(&shadow, &mut run).await {
            Ok(cursor) => {
                let events = cursor.position.get().saturating_sub(run.from.unwrap_or_default().get());
                Ok(Rebuilt { events, cursor, duration: run.started.elapsed() })
            }
            Err(halt) => {
                let stays = match &halt {
                    _ if matches!(self.origin, Origin::Previous(_)) => true,
                    Halt::Stopped => self.goes_on(),
                    // Another service fills it now, or it is gone.
                    Halt::Failed(failure) => failure.fault == Fault::Fenced,
                };
                if !stays {
                    self.discard(&*shadow).await;
                }
                Err(halt)
            }
        }
    }

    async fn discard(&self, instance: &dyn Instance) {
        if let Err(error) = instance.discard().await {
            let (name, error) = (self.applier.name, chain(&error));
            tracing::warn!(projection = name, error, "what was replayed could not be dropped");
        }
    }

    /// Makes an empty instance that outlasts a restart, if the read model can keep one.
    async fn begin(&self, run: &Run) -> Result<Arc<dyn Instance>, Halt> {
        let paused = *self.paused.borrow();
        let shadow = self.instance.shadow().await?;
        self.note(&*shadow, run, paused).await?;
        Ok(shadow)
    }

    async fn note(&self, shadow: &dyn Instance, run: &Run, paused: bool) -> Result<(), Halt> {
        if shadow.can_keep() && !matches!(self.origin, Origin::Previous(_)) {
            shadow.keep(Unfinished { options: self.options, paused, program: run.program }).await?;
        }
        Ok(())
    }

    /// Fills an instance and has it put into place; tells where it was then. Waits for the read model's store whenever that
    /// is away: everything here can be done again.
    async fn fill_and_hand_over(&mut self, shadow: &Arc<dyn Instance>, run: &mut Run) -> Result<Cursor, Halt> {
        loop {
            let ended = match self.fill(shadow, run).await {
                Ok(()) => self.hand_over(shadow).await,
                Err(halt) => Err(halt),
            };
            match ended {
                Err(Halt::Failed(failure)) if failure.fault == Fault::Outage => {
                    self.progress.send_modify(|progress| progress.waiting = true);
                    let attempts = run.tries.count(&failure);
                    self.applier.back_off(failure, attempts).await?;
                }
                ended => return ended,
            }
        }
    }

    /// Replays the log until little is left.
    async fn fill(&mut self, shadow: &Arc<dyn Instance>, run: &mut Run) -> Result<(), Halt> {
        let mut head = self.events.head().await?;
        let mut cursor = located(&*self.events, shadow.cursor().await?, shadow.farthest().await?).await?;
        let mut parked = parked_keys(&**shadow).await?;
        let mut pace = Pace::new(self.options);
        run.from.get_or_insert(cursor.position);
        let options = Arc::clone(&self.applier.options);
        let feed = Feed::open(&*self.events, cursor, pace.batch(options.rebuild_batch_events)).await?;
        let mut feed = Ahead::new(feed, Arc::clone(shadow), head, options.rebuild_decoders);
        loop {
            self.tell(run, cursor, head);
            self.wait_while_paused(&**shadow, run, &mut pace).await?;
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
            run.tries = Tries::default();
            pace.did(events);
            head = self.events.head().await?;
            let left = head.position.get().saturating_sub(cursor.position.get());
            if caught_up || left < self.applier.options.live_batch_events as u64 {
                self.tell(run, cursor, head);
                return Ok(());
            }
        }
    }

    fn tell(&self, run: &Run, cursor: Cursor, head: Cursor) {
        let from = run.from.unwrap_or_default();
        self.progress.send_replace(Progress::new(from, cursor.position, head.position, run.started.elapsed()));
    }

    /// Waits as long as it is paused, which is noted, so that it still is after a restart.
    async fn wait_while_paused(&mut self, shadow: &dyn Instance, run: &Run, pace: &mut Pace) -> Result<(), Halt> {
        if !*self.paused.borrow_and_update() {
            return Ok(());
        }
        self.note(shadow, run, true).await?;
        self.progress.send_modify(|progress| progress.paused = true);
        tokio::select! {
            biased;
            () = self.applier.stop.told() => return Err(Halt::Stopped),
            // Whoever could have told it to go on is gone: then nobody wants it paused.
            _ = self.paused.wait_for(|paused| !paused) => {}
        }
        *pace = Pace::new(self.options);
        self.progress.send_modify(|progress| progress.paused = false);
        self.note(shadow, run, false).await
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

/// What is known of a replay while it lasts.
struct Run {
    /// Which program this is.
    program: u64,
    started: Instant,
    /// Where it began.
    from: Option<Position>,
    tries: Tries,
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
