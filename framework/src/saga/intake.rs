//! From the log to the instances: a task per saga, at least once. The keys of the records make it exactly once.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use annalist_core::{Checkpoints, Cursor, Delivery, EventStore, RecordedEvent, StoreError, Subscription};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::Instrument;

use super::{
    halt::{Halt, Trouble, chain},
    limits::BATCH_MAX,
    model::{Route, Saga},
    skipped::is_skipped,
    status::{BlockedBy, Progress, SagaState},
    step::panic_message,
    taker::{Incoming, Taker, stopped},
};
use crate::{
    event::{Events, Recorded},
    trace,
};

/// How far a saga has followed the log; it stands on disk as JSON. Everything up to there is recorded in its streams, or
/// concerns it no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) scanned: Cursor,
}

impl Note {
    /// The name of a saga's note. It never changes.
    pub(super) fn name(saga: &str) -> String {
        format!("saga/{saga}")
    }

    pub(super) async fn save(self, notes: &dyn Checkpoints, saga: &str) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&self).unwrap_or_default();
        notes.save(&Self::name(saga), Bytes::from(bytes)).await
    }
}

/// See the module.
pub(super) struct Intake<S: Saga> {
    pub(super) taker: Arc<Taker<S>>,
    pub(super) notes: Arc<dyn Checkpoints>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) scanned: Cursor,
    pub(super) unsaved_since: Option<Instant>,
}

impl<S: Saga> Intake<S> {
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        let ended = loop {
            match self.follow(&mut failures).await {
                Ok(()) => break Halt::Stopped,
                Err(Trouble::Halt(halt)) => break halt,
                Err(Trouble::Passing(why)) => {
                    failures += 1;
                    if let Err(halt) = self.taker.pause(failures, &why).await {
                        break halt;
                    }
                }
            }
        };
        self.save_note().await;
        let state = match ended {
            Halt::Stopped => SagaState::Stopped,
            Halt::Failed(error) => {
                tracing::error!(saga = S::NAME, error, "the saga follows the log no more");
                SagaState::Failed { error }
            }
        };
        self.progress.send_modify(|progress| progress.state = state);
    }

    /// Follows the log until it is told to end.
    async fn follow(&mut self, failures: &mut u32) -> Result<(), Trouble> {
        let events = Arc::clone(&self.taker.streams.events);
        let mut subscription: Box<dyn Subscription> = events.subscribe(S::Event::query(), self.scanned).await?;
        let log = events.head().await?;
        let mut stop = self.taker.stop.clone();
        loop {
            let note_due = self.unsaved_since.map(|since| since + self.taker.options.note_interval);
            let delivery = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                () = sleep_until(note_due.unwrap_or_else(Instant::now)), if note_due.is_some() => {
                    self.save_note().await;
                    continue;
                }
                delivery = subscription.next() => delivery?,
            };
            *failures = 0;
            match delivery {
                Delivery::Events(events) => {
                    for batch in events.chunks(BATCH_MAX) {
                        self.take(log, batch).await?;
                        if *stop.borrow() {
                            return Ok(());
                        }
                    }
                }
                Delivery::CaughtUp(cursor) => {
                    self.advance(cursor);
                    self.progress.send_modify(|progress| progress.state = SagaState::Live);
                }
                Delivery::Checkpoint(cursor) => self.advance(cursor),
            }
        }
    }

    /// Takes events in, and waits at each that cannot be read until someone has it left out.
    async fn take(&mut self, log: Cursor, mut events: &[RecordedEvent]) -> Result<(), Trouble> {
        while let Some((readable, why)) = self.take_readable(log, events).await? {
            let Some((event, rest)) = events.get(readable..).and_then(<[_]>::split_first) else { break };
            self.wait_at(event, why).await?;
            self.advance(log.at(event.position));
            events = rest;
        }
        Ok(())
    }

    /// Takes events in up to one that cannot be read: how many there are before it, and why. Those of one instance in
    /// order, of several at the same time.
    async fn take_readable(
        &mut self,
        log: Cursor,
        events: &[RecordedEvent],
    ) -> Result<Option<(usize, String)>, Trouble> {
        let (mut groups, mut places, mut failed) = (Vec::<(String, Vec<Incoming<S>>)>::new(), HashMap::new(), None);
        let mut scanned = None;
        for (readable, record) in events.iter().enumerate() {
            let cursor = log.at(record.position);
            let (key, incoming) = match route::<S>(record, cursor) {
                Ok(Some(routed)) => routed,
                Ok(None) => {
                    scanned = Some(cursor);
                    continue;
                }
                Err(why) => {
                    failed = Some((readable, why));
                    break;
                }
            };
            let place = *places.entry(key.clone()).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, inputs)) => inputs.push(incoming),
                None => groups.push((key, vec![incoming])),
            }
            scanned = Some(cursor);
        }
        let in_flight = self.taker.options.intake_max.max(1);
        let groups = groups.into_iter().map(|(key, inputs)| take_group(Arc::clone(&self.taker), key, inputs));
        stream::iter(groups).buffer_unordered(in_flight).try_collect::<()>().await?;
        if let Some(scanned) = scanned {
            self.advance(scanned);
        }
        Ok(failed)
    }

    /// Waits until someone has said that an event is to be left out; at once if that was said before.
    async fn wait_at(&mut self, event: &RecordedEvent, error: String) -> Result<(), Trouble> {
        let taker = Arc::clone(&self.taker);
        let (mut stop, before) = (taker.stop.clone(), self.progress.borrow().state.clone());
        let blocked = BlockedBy {
            position: event.position,
            id: event.id,
            name: event.type_name().to_owned(),
            stream: event.stream().to_owned(),
            error,
        };
        while !is_skipped(&*taker.streams.events, S::NAME, event.id).await? {
            tracing::error!(saga = S::NAME, event = %blocked, "the saga takes no more events in");
            self.save_note().await;
            self.progress.send_modify(|progress| progress.state = SagaState::Blocked(blocked.clone()));
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Err(Halt::Stopped.into()),
                () = taker.unblocked.notified() => {}
            }
        }
        self.progress.send_modify(|progress| progress.state = before);
        Ok(())
    }

    fn advance(&mut self, scanned: Cursor) {
        if scanned.position > self.scanned.position {
            self.scanned = scanned;
            self.unsaved_since.get_or_insert_with(Instant::now);
            self.progress.send_modify(|progress| progress.scanned = scanned);
        }
    }

    /// Notes how far the log was followed. A note that is not saved costs only looking at the same events again.
    async fn save_note(&mut self) {
        if self.unsaved_since.take().is_none() {
            return;
        }
        if let Err(error) = (Note { scanned: self.scanned }).save(&*self.notes, S::NAME).await {
            tracing::warn!(saga = S::NAME, %error, "how far the saga is cannot be noted");
        }
    }
}

/// Takes in what came for one instance, in order.
async fn take_group<S: Saga>(taker: Arc<Taker<S>>, key: String, inputs: Vec<Incoming<S>>) -> Result<(), Halt> {
    for input in &inputs {
        taker.woken.room().await;
        let span = tracing::info_span!(
            parent: None,
            "annalist.saga",
            saga = S::NAME,
            instance = key,
            position = tracing::field::Empty
        );
        let taking = async {
            if let Incoming::Event { recorded, .. } = input {
                trace::link([&recorded.record]);
            }
            taker.take(&key, input).await
        };
        let taken = taking.instrument(span.clone()).await?;
        if let Some(cursor) = taken.cursor() {
            span.record("position", cursor.position.get());
        }
        tracing::trace!(saga = S::NAME, instance = key, ?taken, "an event came");
    }
    Ok(())
}

/// Which instance an event is for.
fn route<S: Saga>(record: &RecordedEvent, cursor: Cursor) -> Result<Option<(String, Incoming<S>)>, String> {
    let recorded = Recorded::<S::Event>::decode(record.clone(), cursor).map_err(|error| chain(&error))?;
    let Some(recorded) = recorded else { return Ok(None) };
    let route = catch_unwind(AssertUnwindSafe(|| S::route(&recorded)))
        .map_err(|panic| format!("`route` panicked: {}", panic_message(&*panic)))?;
    let (key, starts) = match route {
        Route::Ignore => return Ok(None),
        Route::Start(key) => (key, true),
        Route::Continue(key) => (key, false),
    };
    Ok(Some((key, Incoming::Event { starts, recorded: Box::new(recorded) })))
}
