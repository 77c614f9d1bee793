//! The relay's loop: resume, decide where to continue, follow, publish; after any error, resume again.

use std::sync::Arc;

use annalist_core::{Checkpoints, Cursor, EventStore, Query, Read, StoreError};
use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::Instrument as _;

use super::{
    backoff::Backoff,
    feed::{Feed, FeedError, Window},
    interrupt::Interrupt,
    limits::HEAD_INTERVAL,
    mapping::Mappings,
    note::{self, Note, Start, located},
    options::RelayOptions,
    publisher::{PublishError, Published, Publisher},
    status::{RelayState, RelayStatus, Stopped},
    wiring::Outbox,
};
use crate::{metrics::RelayMetrics, trace};

pub(super) struct Task {
    publisher: Box<dyn Publisher>,
    destination: String,
    mappings: Arc<Mappings>,
    options: RelayOptions,
    log: Arc<dyn EventStore>,
    notes: Arc<dyn Checkpoints>,
    status: StatusSender,
    stop: watch::Receiver<bool>,
    measured: Arc<RelayMetrics>,
    note_name: String,
    note: Option<Note>,
    /// When the note was last saved, if it is older than what was done since.
    unsaved_since: Option<Instant>,
    backoff: Backoff,
}

impl Task {
    pub(super) fn new(
        outbox: Outbox,
        log: Arc<dyn EventStore>,
        notes: Arc<dyn Checkpoints>,
        status: watch::Sender<RelayStatus>,
        stop: watch::Receiver<bool>,
        measured: Arc<RelayMetrics>,
    ) -> Self {
        let Outbox { publisher, mappings, options, .. } = outbox;
        if mappings.is_empty() {
            tracing::warn!("the outbox has no mapping and will publish nothing");
        }
        let destination = publisher.name();
        let note_name = format!("outbox/{destination}");
        let backoff = Backoff::new(options.backoff_min, options.backoff_max, &note_name);
        let (mappings, status) = (Arc::new(mappings), StatusSender(status));
        Self {
            publisher,
            destination,
            mappings,
            options,
            log,
            notes,
            status,
            stop,
            measured,
            note_name,
            note: None,
            unsaved_since: None,
            backoff,
        }
    }

    pub(super) async fn run(mut self) {
        let (log, status) = (Arc::clone(&self.log), self.status.0.clone());
        let why = tokio::select! {
            biased;
            why = self.work() => why,
            () = watch_head(log, status) => Stopped::Abandoned,
        };
        match &why {
            Stopped::Shutdown => tracing::info!("the relay was shut down"),
            why => tracing::error!(%why, "the relay has stopped"),
        }
        self.status.0.send_modify(|status| status.state = RelayState::Stopped(why));
    }

    async fn work(&mut self) -> Stopped {
        if let Err(error) = self.load_note().await {
            tracing::warn!(%error, "the relay's note cannot be read; the broker alone says where to continue");
        }
        self.status.0.send_modify(|status| status.state = RelayState::Connecting);
        loop {
            let (error, fenced) = match self.session().await {
                Interrupt::Stop(why) => {
                    self.save_note().await;
                    return why;
                }
                Interrupt::Retry { error, fenced } => (error, fenced),
            };
            self.measured.retries.add(1);
            let pause = self.backoff.next();
            tracing::warn!(error, ?pause, "publishing was interrupted; the relay resumes");
            self.status.0.send_modify(|status| {
                status.state = RelayState::Connecting;
                status.fenced += u64::from(fenced);
                status.last_error = Some(error);
            });
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Stopped::Shutdown,
                () = sleep(pause) => {}
            }
        }
    }

    /// From one resume to the next.
    async fn session(&mut self) -> Interrupt {
        let tail = tokio::select! {
            biased;
            () = stopped(&mut self.stop) => return Interrupt::Stop(Stopped::Shutdown),
            tail = self.publisher.resume() => tail,
        };
        let followed = async {
            let mut tail = tail?;
            let head = self.log.head().await?;
            // Of a log that was restored since, what was noted and published before may still be good.
            if let Some(last) = &mut tail.last {
                located(&*self.log, &mut last.cursor).await?;
            }
            if let Some(note) = &mut self.note {
                *note = note.located(&*self.log).await?;
            }
            let start = note::start(&tail, self.note.as_ref(), &head)?;
            check_history(&*self.log, start.last, head).await?;
            let subscription = self.log.subscribe(Query::all(), start.after).await?;
            self.began(&start, tail.sequence);
            let (mappings, options) = (Arc::clone(&self.mappings), self.options.clone());
            let feed = Feed::new(subscription, mappings, options, head, start.last);
            self.follow(feed).await
        };
        match followed.await {
            Ok(()) => Interrupt::Stop(Stopped::Shutdown),
            Err(interrupt) => interrupt,
        }
    }

    fn began(&mut self, start: &Start, sequence: u64) {
        if start.lost > 0 {
            let Start { lost, after, .. } = start;
            tracing::error!(lost, %after, "the broker has lost messages that it had acknowledged; they are published again");
        }
        self.note = Some(Note { scanned: start.after, sequence, last: start.last });
        self.status.0.send_modify(|status| {
            status.state = RelayState::Connected;
            status.scanned = start.after;
            (status.sequence, status.last) = (sequence, start.last);
        });
        tracing::info!(after = %start.after.position, sequence, "the relay publishes");
    }

    /// Publishes window after window; while one is in flight the next is filled. Ends only when told to.
    async fn follow(&mut self, mut feed: Feed) -> Result<(), Interrupt> {
        let mut next = None;
        loop {
            let window = match next.take() {
                _ if *self.stop.borrow() => return Ok(()),
                Some(window) => window,
                None => {
                    let note_due = self.unsaved_since.map(|since| since + self.options.note_interval);
                    tokio::select! {
                        biased;
                        () = stopped(&mut self.stop) => return Ok(()),
                        () = sleep_until(note_due.unwrap_or_else(Instant::now)), if note_due.is_some() => {
                            self.save_note().await;
                            continue;
                        }
                        window = feed.next() => window,
                    }
                }
            }?;
            let sequence = if window.messages.is_empty() {
                None
            } else {
                let span = tracing::debug_span!(
                    parent: None,
                    "annalist.outbox",
                    destination = self.destination,
                    position = window.scanned.map(|scanned| scanned.position.get()),
                    messages = window.messages.len()
                );
                Some(self.publish(&window, &mut feed, &mut next).instrument(span).await?)
            };
            self.advance(&window, sequence);
            if sequence.is_none() {
                // A long stretch that maps to nothing is read from memory: let others have the worker.
                yield_now().await;
            }
            if self.unsaved_since.is_some_and(|since| since.elapsed() >= self.options.note_interval) {
                self.save_note().await;
            }
        }
    }

    /// Publishes a window and fills the next one meanwhile.
    async fn publish(
        &mut self,
        window: &Window,
        feed: &mut Feed,
        next: &mut Option<Result<Window, FeedError>>,
    ) -> Result<u64, Interrupt> {
        trace::link_to(window.messages.iter().map(|message| message.metadata.clone()));
        let (grace, began) = (self.options.shutdown_grace, Instant::now());
        let mut published = self.publisher.publish(&window.messages);
        let result = loop {
            tokio::select! {
                biased;
                result = &mut published => break result,
                filled = feed.next(), if next.is_none() => *next = Some(filled),
                () = stopped(&mut self.stop) => match timeout(grace, &mut published).await {
                    Ok(result) => break result,
                    Err(_) => return Err(Stopped::Shutdown.into()),
                },
            }
        };
        if result.is_ok() {
            self.measured.windows.took(began.elapsed());
        }
        result.map_err(|error| match error {
            PublishError::Refused { id, detail } => {
                let position = window.messages.iter().find(|message| message.id() == id);
                let position = position.map_or_else(Default::default, |message| message.cursor.position);
                Stopped::Refused { position, id, detail }.into()
            }
            error => error.into(),
        })
    }

    /// A window is dealt with; `sequence` is the broker's number of its last message.
    fn advance(&mut self, window: &Window, sequence: Option<u64>) {
        let (Some(note), Some(scanned)) = (&mut self.note, window.scanned) else { return };
        note.scanned = scanned;
        if let (Some(sequence), Some(last)) = (sequence, window.messages.last()) {
            (note.sequence, note.last) = (sequence, Some(last.into()));
        }
        let Note { scanned, sequence, last } = *note;
        self.unsaved_since.get_or_insert_with(Instant::now);
        self.backoff.reset();
        self.status.0.send_modify(|status| {
            (status.scanned, status.sequence, status.last) = (scanned, sequence, last);
            status.head = if status.head.position < scanned.position { scanned } else { status.head };
            status.published += window.messages.len() as u64;
            status.last_error = None;
        });
        tracing::debug!(messages = window.messages.len(), position = %scanned.position, "published");
    }

    async fn load_note(&mut self) -> Result<(), StoreError> {
        let head = self.log.head().await?;
        let note = self.notes.load(&self.note_name).await?;
        let note = match note.and_then(|bytes| Note::decode(&bytes)) {
            Some(note) => Some(note.located(&*self.log).await?).filter(|note| note.scanned.fits(&head)),
            None => None,
        };
        self.status.0.send_modify(|status| {
            status.head = head;
            status.scanned = note.map_or(Cursor::START, |note| note.scanned);
        });
        self.note = note;
        Ok(())
    }

    /// Notes how far the relay has come. A note that is not saved costs only some scanning after the next start.
    async fn save_note(&mut self) {
        if self.unsaved_since.take().is_none() {
            return;
        }
        let Some(bytes) = self.note.as_ref().and_then(Note::encode) else { return };
        if let Err(error) = self.notes.save(&self.note_name, bytes).await {
            tracing::warn!(%error, "the relay's note cannot be saved");
        }
    }
}

/// The event of the broker's last message must be in the log, where the message says: a store that was copied and
/// went another way has another event there.
async fn check_history(log: &dyn EventStore, last: Option<Published>, head: Cursor) -> Result<(), Interrupt> {
    let Some(last) = last else { return Ok(()) };
    let mut batches = log.read(Read::all(last.cursor.position.previous()).limit(1)).await?;
    match batches.next().await?.first() {
        Some(event) if event.id == last.event_id => Ok(()),
        _ => Err(Stopped::Foreign { last, head }.into()),
    }
}

/// Keeps the head in the status up to date, so that the lag is visible while the broker is away. Never ends.
async fn watch_head(log: Arc<dyn EventStore>, status: watch::Sender<RelayStatus>) {
    loop {
        // A log that cannot be read is the worker's to report.
        if let Ok(head) = log.head().await {
            status.send_if_modified(|status| {
                let news = head.position > status.head.position;
                if news {
                    status.head = head;
                }
                news
            });
        }
        sleep(HEAD_INTERVAL).await;
    }
}

/// Waits until the relay is told to end, or its handle is dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The error says that the handle is gone: that is an end, too.
    _ = stop.wait_for(|stop| *stop).await;
}

/// Whatever ends the task, its last status says that it has ended.
struct StatusSender(watch::Sender<RelayStatus>);

impl Drop for StatusSender {
    fn drop(&mut self) {
        self.0.send_if_modified(|status| {
            let silent = status.stopped().is_none();
            if silent {
                status.state = RelayState::Stopped(Stopped::Abandoned);
            }
            silent
        });
    }
}
