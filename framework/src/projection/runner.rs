//! The task of a projection: it follows the log, one transaction after the other.

use std::sync::Arc;

use annalist_core::{Cursor, EventStore};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::Instrument;

use super::{
    applier::{Applier, Halt},
    feed::{Fed, Feed},
    instance::{Failure, Instance, chain},
    model::ModelError,
    status::{ProjectionState, Published, Rate},
};

/// A rebuilt instance that is to replace the live one. The answer is the cursor that it had then.
pub(super) struct TakeOver {
    pub(super) shadow: Arc<dyn Instance>,
    pub(super) reply: oneshot::Sender<Result<Cursor, Failure>>,
}

/// See the module. It alone writes to the live instance, so replacing that instance needs no lock.
pub(super) struct Runner {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) applier: Applier,
    pub(super) published: watch::Sender<Published>,
    pub(super) control: mpsc::Receiver<TakeOver>,
    pub(super) rate: Rate,
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
        let mut attempts = 0;
        loop {
            match self.follow_once(&mut attempts).await {
                Err(Halt::Failed(failure)) => {
                    attempts += 1;
                    self.applier.back_off(failure, attempts).await?;
                }
                ended => return ended,
            }
        }
    }

    async fn follow_once(&mut self, attempts: &mut u32) -> Result<TakeOver, Halt> {
        let head = self.events.head().await?;
        let cursor = self.instance.cursor().await?;
        let readable = self.instance.is_live().await?;
        self.publish(|published| *published = Published::new(cursor, readable));
        let mut feed = Feed::open(&*self.events, cursor, self.applier.options.live_batch_events).await?;
        loop {
            let fed = tokio::select! {
                biased;
                () = self.applier.stop.told() => return Err(Halt::Stopped),
                Some(asked) = self.control.recv() => return Ok(asked),
                fed = feed.next() => fed?,
            };
            self.take(head, &fed).await?;
            *attempts = 0;
        }
    }

    /// Applies a batch and notes what that changes for readers.
    async fn take(&mut self, head: Cursor, fed: &Fed) -> Result<(), Halt> {
        let Self { published, rate, .. } = self;
        let committed = |cursor, events| note_commit(published, rate, cursor, events);
        self.applier.apply(&*self.instance, head, &fed.events, committed).await?;
        let (readable, seen) = {
            let published = self.published.borrow();
            (published.readable, published.cursor.position)
        };
        // Filled for the first time: it has everything that was there when it began.
        if !readable && (fed.caught_up || seen >= head.position) {
            self.instance.promote().await?;
            tracing::info!(projection = self.applier.name, position = %seen, "the view is complete");
            self.publish(|published| {
                published.readable = true;
                published.state = ProjectionState::Replaying;
            });
        }
        if fed.caught_up {
            self.publish(|published| published.state = ProjectionState::Live);
        }
        Ok(())
    }

    /// Says what is wrong and waits for a rebuild; `None` when the end comes first.
    async fn failed(&mut self, failure: Failure) -> Option<TakeOver> {
        let position = failure.at.map(|(_, position)| position);
        let name = self.applier.name;
        tracing::error!(projection = name, ?position, error = failure.error, "the projection has stopped");
        self.publish(|published| published.state = ProjectionState::Failed { position, error: failure.error });
        tokio::select! {
            biased;
            () = self.applier.stop.told() => None,
            asked = self.control.recv() => asked,
        }
    }

    /// Puts a rebuilt instance in the place of the live one, or leaves everything as it is.
    async fn take_over(&mut self, asked: TakeOver) {
        let result = match self.swap_in(&asked.shadow).await {
            Ok(cursor) => Ok(cursor),
            Err(Halt::Stopped) => return,
            Err(Halt::Failed(failure)) => Err(failure),
        };
        // If nobody waits any more there is nobody to tell; the log of the swap stands in the trace.
        drop(asked.reply.send(result));
    }

    async fn swap_in(&mut self, shadow: &Arc<dyn Instance>) -> Result<Cursor, Halt> {
        let head = self.events.head().await?;
        let live = self.published.borrow().cursor;
        let mut cursor = shadow.cursor().await?;
        // Readers have seen the view at `live`: the new one must not be behind that.
        if live.fits(&head) && cursor.position < live.position {
            let mut feed = Feed::open(&*self.events, cursor, self.applier.options.live_batch_events).await?;
            while cursor.position < live.position {
                let fed = feed.next().await?;
                self.applier.apply(&**shadow, head, &fed.events, |committed, _| cursor = committed).await?;
            }
        }
        shadow.promote().await?;
        let before = std::mem::replace(&mut self.instance, Arc::clone(shadow));
        // The live one was dropped with that; one that was being filled for the first time was not.
        if !self.published.borrow().readable
            && let Err(error) = before.discard().await
        {
            let (name, error) = (self.applier.name, chain(&error));
            tracing::warn!(projection = name, error, "the instance before is dropped when the view is next opened");
        }
        self.publish(|published| *published = Published::new(cursor, true));
        tracing::info!(projection = self.applier.name, position = %cursor.position, "the rebuilt view is in place");
        Ok(cursor)
    }

    fn publish(&self, change: impl FnOnce(&mut Published)) {
        self.published.send_modify(change);
    }
}

fn note_commit(published: &watch::Sender<Published>, rate: &mut Rate, cursor: Cursor, events: usize) {
    let rate = rate.add(events as u64);
    published.send_modify(|published| {
        published.cursor = cursor;
        published.rate = rate;
        published.at = Instant::now();
    });
}
