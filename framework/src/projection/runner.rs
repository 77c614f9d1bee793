//! The task of a projection: it follows the log, one transaction after the other.

use std::{pin::pin, sync::Arc};

use annalist_core::{Cursor, EventStore};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::Instrument;

use super::{
    applier::{Applier, Halt, Step, Tries},
    feed::{Fed, Feed},
    instance::{Failure, Fault, Instance, chain, located, parked_keys},
    model::ModelError,
    parking::{ParkedCount, ParkedKeys},
    status::{ProjectionState, Published, Rate},
    unparking::{ParkedRequest, Unparking},
};

/// What a runner is asked to do between two of its batches.
pub(super) enum Control {
    TakeOver(TakeOver),
    Parked(ParkedRequest),
}

/// A rebuilt instance that is to replace the live one. The answer is the cursor that it had then.
pub(super) struct TakeOver {
    pub(super) shadow: Arc<dyn Instance>,
    /// What applies the rest to it.
    pub(super) applier: Applier,
    /// Whether the instance that it replaces is kept.
    pub(super) keep_previous: bool,
    pub(super) reply: oneshot::Sender<Result<Cursor, Failure>>,
}

/// See the module. It alone writes to the live instance, so replacing that instance needs no lock.
pub(super) struct Runner {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) applier: Applier,
    pub(super) published: watch::Sender<Published>,
    pub(super) control: mpsc::Receiver<Control>,
    pub(super) rate: Rate,
    /// What is parked in the instance.
    pub(super) parked: ParkedKeys,
}

impl From<ModelError> for Halt {
    fn from(error: ModelError) -> Self {
        Self::Failed(error.into())
    }
}

impl Runner {
    /// Runs until it is told to stop. On stop: the batch in progress is committed first. On error: the projection stops
    /// at the event, says so in its status, and waits for a rebuild.
    pub(super) async fn run(mut self) {
        loop {
            let span = tracing::info_span!("annalist.subscription", projection = self.applier.name);
            let asked = match self.follow().instrument(span).await {
                Ok(asked) => Some(asked),
                Err(Halt::Stopped) => return self.publish(|published| published.state = ProjectionState::Stopped),
                Err(Halt::Failed(failure)) => self.failed(failure).await,
            };
            match asked {
                Some(asked) => self.take_over(asked).await,
                None => return,
            }
        }
    }

    /// Follows the log until another instance is to take over.
    async fn follow(&mut self) -> Result<TakeOver, Halt> {
        let mut tries = Tries::default();
        loop {
            let failure = match self.follow_once(&mut tries).await {
                Err(Halt::Failed(failure)) => failure,
                ended => return ended,
            };
            if failure.fault == Fault::Outage {
                let now = self.applier.env.now();
                self.publish(|published| published.wait(now, &failure.error));
            }
            let attempts = tries.count(&failure);
            if let Some(asked) = self.wait(failure, attempts).await? {
                return Ok(asked);
            }
        }
    }

    /// Waits before another attempt, and meanwhile does what it is asked to.
    async fn wait(&mut self, failure: Failure, attempts: u32) -> Result<Option<TakeOver>, Halt> {
        let mut applier = self.applier.clone();
        let mut waiting = pin!(applier.back_off(failure, attempts));
        loop {
            let asked = tokio::select! {
                biased;
                waited = &mut waiting => return waited.map(|()| None),
                Some(asked) = self.control.recv() => asked,
            };
            match asked {
                Control::TakeOver(asked) => return Ok(Some(asked)),
                Control::Parked(asked) => self.answer(asked).await,
            }
        }
    }

    async fn follow_once(&mut self, tries: &mut Tries) -> Result<TakeOver, Halt> {
        let head = self.events.head().await?;
        let noted = self.instance.cursor().await?;
        // Of a log that was restored since, it may still be good.
        let located = located(&*self.events, noted, self.instance.farthest().await?).await;
        let cursor = *located.as_ref().unwrap_or(&noted);
        let readable = self.instance.is_live().await?;
        self.parked = parked_keys(&*self.instance).await?;
        let parked = self.parked.count();
        self.publish(|published| published.begin(cursor, readable, parked));
        located?;
        let options = Arc::clone(&self.applier.options);
        // A view that nobody reads yet is filled as by a rebuild.
        let events_max = if readable { options.live_batch_events } else { options.rebuild_batch_events };
        let mut feed = Feed::open(&*self.events, cursor, events_max).await?;
        loop {
            let fed = tokio::select! {
                biased;
                () = self.applier.stop.told() => return Err(Halt::Stopped),
                Some(asked) = self.control.recv() => match asked {
                    Control::TakeOver(asked) => return Ok(asked),
                    Control::Parked(asked) => {
                        self.answer(asked).await;
                        continue;
                    }
                },
                fed = feed.next() => fed?,
            };
            let was_readable = self.published.borrow().readable;
            self.take(head, fed).await?;
            *tries = Tries::default();
            let Published { cursor, readable, .. } = *self.published.borrow();
            if readable && !was_readable {
                feed = Feed::open(&*self.events, cursor, options.live_batch_events).await?;
            }
        }
    }

    /// Applies a batch and notes what that changes for readers.
    async fn take(&mut self, head: Cursor, fed: Fed) -> Result<(), Halt> {
        let caught_up = fed.caught_up;
        let Self { published, rate, parked, .. } = self;
        let tell = |step: Step<'_>| note(published, rate, &step);
        self.applier.apply(&*self.instance, head, fed, parked, tell).await?;
        let (readable, seen) = {
            let published = self.published.borrow();
            (published.readable, published.cursor.position)
        };
        // Filled for the first time: it has everything that was there when it began.
        if !readable && (caught_up || seen >= head.position) {
            self.instance.promote(false).await?;
            tracing::info!(projection = self.applier.name, position = %seen, "the view is complete");
            self.publish(|published| {
                published.readable = true;
                published.state = ProjectionState::Replaying;
            });
        }
        if caught_up {
            self.publish(|published| published.state = ProjectionState::Live);
        }
        Ok(())
    }

    /// Says what is wrong and waits for a rebuild; `None` when the end comes first.
    async fn failed(&mut self, failure: Failure) -> Option<TakeOver> {
        let position = failure.at.map(|(_, position)| position);
        let (name, error) = (self.applier.name, failure.error);
        tracing::error!(projection = name, ?position, error, "the projection has stopped");
        self.publish(|published| {
            published.last_error = Some(error.as_str().into());
            published.state = if failure.fault == Fault::Foreign {
                ProjectionState::Foreign { error }
            } else {
                ProjectionState::Failed { position, error }
            };
        });
        loop {
            let asked = tokio::select! {
                biased;
                () = self.applier.stop.told() => return None,
                asked = self.control.recv() => asked?,
            };
            match asked {
                Control::TakeOver(asked) => return Some(asked),
                Control::Parked(asked) => self.answer(asked).await,
            }
        }
    }

    /// Does what people want done about parked events.
    async fn answer(&mut self, asked: ParkedRequest) {
        let (name, now) = (self.applier.name, self.applier.env.now());
        let (instance, events) = (&*self.instance, &*self.events);
        Unparking { name, instance, events, parked: &mut self.parked, now }.answer(asked).await;
        let parked = self.parked.count();
        self.publish(|published| published.parked = parked);
    }

    /// Puts a rebuilt instance in the place of the live one, or leaves everything as it is.
    async fn take_over(&mut self, asked: TakeOver) {
        let TakeOver { shadow, applier, keep_previous, reply } = asked;
        let result = match self.swap_in(&shadow, applier, keep_previous).await {
            Ok(cursor) => Ok(cursor),
            Err(Halt::Stopped) => return,
            Err(Halt::Failed(failure)) => Err(failure),
        };
        // If nobody waits any more there is nobody to tell; the log of the swap stands in the trace.
        drop(reply.send(result));
    }

    async fn swap_in(
        &mut self,
        shadow: &Arc<dyn Instance>,
        mut applier: Applier,
        keep_previous: bool,
    ) -> Result<Cursor, Halt> {
        let head = self.events.head().await?;
        let live = self.published.borrow().cursor;
        let mut cursor = shadow.cursor().await?;
        // Readers have seen the view at `live`: the new one must not be behind that.
        if live.fits(&head) && cursor.position < live.position {
            let mut feed = Feed::open(&*self.events, cursor, self.applier.options.live_batch_events).await?;
            let mut parked = parked_keys(&**shadow).await?;
            while cursor.position < live.position {
                let fed = feed.next().await?;
                let tell = |step: Step<'_>| {
                    if let Step::Committed(committed, ..) = step {
                        cursor = committed;
                    }
                };
                applier.apply(&**shadow, head, fed, &mut parked, tell).await?;
            }
        }
        let readable = self.published.borrow().readable;
        shadow.promote(keep_previous && readable).await?;
        let before = std::mem::replace(&mut self.instance, Arc::clone(shadow));
        // The live one was dropped with that; one that was being filled for the first time was not.
        if !readable && let Err(error) = before.discard().await {
            let (name, error) = (self.applier.name, chain(&error));
            tracing::warn!(projection = name, error, "the instance before is dropped when the view is next opened");
        }
        self.publish(|published| published.begin(cursor, true, ParkedCount::default()));
        tracing::info!(projection = self.applier.name, position = %cursor.position, "the rebuilt view is in place");
        Ok(cursor)
    }

    fn publish(&self, change: impl FnOnce(&mut Published)) {
        self.published.send_modify(change);
    }
}

/// Notes a step of the applier.
fn note(published: &watch::Sender<Published>, rate: &mut Rate, step: &Step<'_>) {
    published.send_modify(|published| match step {
        Step::Committed(cursor, events, parked) => {
            published.cursor = *cursor;
            published.parked = *parked;
            published.rate = rate.add(*events as u64);
            published.at = Instant::now();
        }
        Step::Failed(failure) => {
            published.errors += 1;
            published.last_error = Some(failure.error.as_str().into());
        }
    });
}
