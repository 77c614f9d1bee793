//! From one connect to the loss of the broker, or the end.

use std::{sync::Arc, time::Duration};

use annalist_core::Cursor;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tracing::Instrument;

use super::{
    consumer::{ConsumeError, Consumer, Delivered},
    lanes::{Held, Lanes},
    limits::{NOTE_INTERVAL, SIGNALS_PER_ACK_WAIT},
    message::Incoming,
    note::Note,
    wiring::KeyOf,
    work::{Work, Worked, is_true},
};

/// What is delivered, and who works on it.
pub(super) struct Session {
    work: Arc<Work>,
    key: Arc<KeyOf>,
    lanes: Lanes,
    workers: JoinSet<(String, Worked)>,
    abandon: watch::Sender<bool>,
    arrived: u64,
    /// The head of the log when the session began, and the name of what is consumed.
    log: Cursor,
    source: String,
    /// What was noted last of how far the inbox has come, and since when that is out of date.
    noted: Option<u64>,
    unsaved_since: Option<Instant>,
}

/// How a session has ended.
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// The broker is lost.
    Lost(ConsumeError),
}

impl Session {
    pub(super) fn new(work: Arc<Work>, key: Arc<KeyOf>, log: Cursor, source: String) -> Self {
        let (lanes, workers, (abandon, _)) = (Lanes::default(), JoinSet::new(), watch::channel(false));
        Self { work, key, lanes, workers, abandon, arrived: 0, log, source, noted: None, unsaved_since: None }
    }

    /// Hands messages to handlers until it is told to stop or the broker is lost.
    pub(super) async fn run(&mut self, consumer: &mut dyn Consumer, stop: &mut watch::Receiver<bool>) -> Ended {
        let options = &self.work.options;
        let (in_flight_max, ack_wait) = (options.in_flight_max.max(1), options.ack_wait);
        let mut signal = interval((ack_wait / SIGNALS_PER_ACK_WAIT).max(Duration::from_millis(1)));
        signal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let note_due = self.unsaved_since.map(|since| since + NOTE_INTERVAL);
            let going_on = tokio::select! {
                biased;
                () = is_true(stop) => return Ended::Stopped,
                Some(worked) = self.workers.join_next() => self.worked(worked),
                _ = signal.tick() => self.signal().await,
                () = sleep_until(note_due.unwrap_or_else(Instant::now)), if note_due.is_some() => {
                    self.save_note().await;
                    Ok(())
                }
                delivered = consumer.next(), if self.lanes.held() < in_flight_max => delivered.map(|delivered| {
                    self.take(delivered);
                }),
            };
            if let Err(lost) = going_on {
                return Ended::Lost(lost);
            }
            self.tell_held();
            if self.unsaved_since.is_none() && self.lanes.through() != self.noted {
                self.unsaved_since = Some(Instant::now());
            }
        }
    }

    /// Notes how far the inbox has come: everything up to there is in the log. A note that is not saved only lets more come again
    /// after a restore.
    async fn save_note(&mut self) {
        self.unsaved_since = None;
        let through = self.lanes.through();
        let Some(number) = through.filter(|_| through != self.noted) else { return };
        self.noted = through;
        if let Err(error) =
            Note::new(self.log, self.source.clone(), number).save(&*self.work.notes, self.work.inbox).await
        {
            tracing::warn!(inbox = self.work.inbox, %error, "how far the inbox has come cannot be noted");
        }
    }

    fn take(&mut self, delivered: Delivered) {
        let Delivered { message, deliveries, behind, sequence, answer } = delivered;
        let number = self.arrived;
        self.arrived += 1;
        let message = message.map(Arc::new);
        // What is no message has no key, and waits for nobody.
        let key = message.as_ref().map_or_else(|_| format!("/{number}"), |message| (self.key)(message));
        if deliveries > 1 {
            tracing::debug!(inbox = self.work.inbox, deliveries, "a message was delivered again");
        }
        self.work.status.send_modify(|status| status.behind = behind);
        if let Some(held) = self.lanes.push(Held { number, sequence, key, message, answer }) {
            self.start(held);
        }
    }

    fn start(&mut self, held: Arc<Held>) {
        let (work, abandoned) = (Arc::clone(&self.work), self.abandon.subscribe());
        let span = span(self.work.inbox, held.message.as_deref().ok());
        let working = async move {
            let worked = work.work(&held, abandoned).await;
            (held.key.clone(), worked)
        };
        self.workers.spawn(working.instrument(span));
    }

    fn worked(&mut self, worked: Result<(String, Worked), JoinError>) -> Result<(), ConsumeError> {
        // Handlers cannot panic out of their work; whatever else does, a new session begins anew.
        let lost = |error: JoinError| ConsumeError::Unavailable { detail: format!("a message got lost: {error}") };
        match worked.map_err(lost)? {
            (key, Worked::Done) => {
                if let Some(next) = self.lanes.done(&key) {
                    self.start(next);
                }
                Ok(())
            }
            (_, Worked::Abandoned) => Ok(()),
            (_, Worked::Lost(error)) => Err(error),
        }
    }

    /// Tells the broker that all that is held is still meant to be handled.
    async fn signal(&self) -> Result<(), ConsumeError> {
        for held in self.lanes.iter() {
            held.answer.working().await?;
        }
        Ok(())
    }

    fn tell_held(&self) {
        let held = u64::try_from(self.lanes.held()).unwrap_or(u64::MAX);
        self.work.status.send_if_modified(|status| std::mem::replace(&mut status.held, held) != held);
    }

    /// Lets handlers finish the attempt that they are at, within `grace`. Gives back what is still held, in order: what is
    /// given back is delivered again in the order in which it is given.
    pub(super) async fn end(mut self, give_back: bool) {
        let grace = self.work.options.shutdown_grace;
        self.abandon.send_replace(true);
        let finished = async {
            while let Some(worked) = self.workers.join_next().await {
                if let Ok((key, Worked::Done)) = worked {
                    // The next of the key is not begun: it is held like all others.
                    self.lanes.done(&key);
                }
            }
        };
        if timeout(grace, finished).await.is_err() {
            tracing::warn!(inbox = self.work.inbox, "messages are still being handled; they are delivered again");
            self.workers.shutdown().await;
        }
        self.save_note().await;
        for held in self.lanes.into_order() {
            if !give_back || held.answer.nak(Duration::ZERO).await.is_err() {
                break;
            }
        }
        self.work.status.send_modify(|status| (status.held, status.failing) = (0, 0));
    }
}

fn span(inbox: &'static str, message: Option<&Incoming>) -> tracing::Span {
    let (id, source, event_type) = match message {
        Some(Incoming { id, source, event_type, .. }) => (&**id, &**source, &**event_type),
        None => ("", "", ""),
    };
    let correlation_id = message.and_then(|message| message.metadata.correlation_id.as_deref());
    let traceparent = message.and_then(|message| message.metadata.traceparent.as_deref());
    let tracestate = message.and_then(|message| message.metadata.tracestate.as_deref());
    tracing::info_span!(
        parent: None,
        "annalist.inbox",
        inbox,
        message_id = id,
        source,
        event_type,
        correlation_id,
        traceparent,
        tracestate,
    )
}
