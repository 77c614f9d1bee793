//! Rebuilding a view by replay, beside the live one.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use annalist_core::{Cursor, EventStore, Position};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tracing::Instrument;

use super::{
    applier::{Applier, Halt, Step},
    feed::Feed,
    instance::{Failure, Instance, chain},
    parking::ParkedKeys,
    runner::{Control, TakeOver},
    status::{Progress, UnknownProjection, per_second},
};

/// A rebuild in progress; await it for its end. Dropping it cancels it: the live view stays as it is.
#[must_use = "dropping a rebuild cancels it"]
#[derive(Debug)]
pub struct Rebuild {
    pub(super) name: String,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) done: oneshot::Receiver<Result<Rebuilt, RebuildError>>,
    /// Being dropped is the signal.
    pub(super) _cancel: watch::Sender<bool>,
}

/// What a rebuild did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Events of the log that were replayed, those without interest for the view included.
    pub events: u64,
    /// The last event in the new view when it came into place.
    pub cursor: Cursor,
    /// How long it took.
    pub duration: Duration,
}

/// Why a view was not rebuilt. Readers still see the view as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// There is no such projection.
    #[error(transparent)]
    Unknown(#[from] UnknownProjection),
    /// Another rebuild of the same view is in progress. Wait for it, or cancel it by dropping it.
    #[error("the view `{name}` is being rebuilt already")]
    InProgress {
        /// The projection.
        name: String,
    },
    /// The replay failed.
    #[error("the rebuild of `{name}` failed {}: {error}", At(*position))]
    Failed {
        /// The projection.
        name: String,
        /// The event that could not be applied, if it was one.
        position: Option<Position>,
        /// What went wrong.
        error: String,
    },
    /// It was cancelled, or the projections were shut down.
    #[error("the rebuild of `{name}` was cancelled")]
    Cancelled {
        /// The projection.
        name: String,
    },
}

struct At(Option<Position>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(position) => write!(f, "at event {position}"),
            None => f.write_str("between events"),
        }
    }
}

impl Rebuild {
    /// One that never began.
    pub(super) fn refused(unknown: UnknownProjection) -> Self {
        let (done, answer) = oneshot::channel();
        let name = unknown.name.clone();
        drop(done.send(Err(unknown.into())));
        let (progress, cancel) = (watch::channel(Progress::START).1, watch::channel(false).0);
        Self { name, progress, done: answer, _cancel: cancel }
    }

    /// How far it is, as it goes on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits for the end and meanwhile draws a progress bar with rate and time left, if standard error is a terminal.
    ///
    /// # Errors
    /// [`RebuildError`] when the view was not rebuilt.
    pub async fn with_bar(mut self) -> Result<Rebuilt, RebuildError> {
        let mut progress = self.progress();
        let bar = ProgressBar::new(0).with_prefix(self.name.clone());
        let style = "{prefix} {wide_bar} {percent:>3} %  {human_pos} of {human_len} events  {msg}";
        // The template is checked by a test; should it be wrong, the default style serves.
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        let result = loop {
            tokio::select! {
                biased;
                result = &mut self => break result,
                Ok(()) = progress.changed() => {
                    let now = *progress.borrow_and_update();
                    bar.set_length(now.total);
                    bar.set_position(now.done);
                    let left = now.left.map_or(0, |left| left.as_secs());
                    bar.set_message(format!("{:.0}/s  {left} s left", now.rate));
                }
            }
        };
        bar.finish_and_clear();
        result
    }
}

impl Future for Rebuild {
    type Output = Result<Rebuilt, RebuildError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = std::task::ready!(Pin::new(&mut self.done).poll(cx));
        Poll::Ready(done.unwrap_or_else(|_| Err(RebuildError::Cancelled { name: self.name.clone() })))
    }
}

impl Rebuilt {
    /// Events per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.events, self.duration)
    }
}

/// `208977 events in 3.2 s, 65000/s`
impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events in {:.1} s, {:.0}/s", self.events, self.duration.as_secs_f64(), self.rate())
    }
}

/// The work of a rebuild.
pub(super) struct Replay {
    /// Any instance of the projection's rows.
    pub(super) instance: Arc<dyn Instance>,
    pub(super) events: Arc<dyn EventStore>,
    pub(super) applier: Applier,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) progress: watch::Sender<Progress>,
}

impl Replay {
    /// Fills a shadow and puts it into place, or leaves no trace.
    pub(super) async fn run(mut self) -> Result<Rebuilt, RebuildError> {
        let name = self.applier.name;
        let span = tracing::info_span!("annalist.projection.rebuild", projection = name);
        let result = self.replay().instrument(span).await;
        result.map_err(|halt| match halt {
            Halt::Stopped => RebuildError::Cancelled { name: name.to_owned() },
            Halt::Failed(Failure { at, error, .. }) => {
                RebuildError::Failed { name: name.to_owned(), position: at.map(|(_, position)| position), error }
            }
        })
    }

    async fn replay(&mut self) -> Result<Rebuilt, Halt> {
        let started = Instant::now();
        let shadow = self.instance.shadow().await?;
        let result = match self.fill(&*shadow, started).await {
            Ok(()) => self.hand_over(&shadow).await,
            Err(halt) => Err(halt),
        };
        match result {
            Ok(cursor) => Ok(Rebuilt { events: cursor.position.get(), cursor, duration: started.elapsed() }),
            Err(halt) => {
                if let Err(error) = shadow.discard().await {
                    let (name, error) = (self.applier.name, chain(&error));
                    tracing::warn!(
                        projection = name,
                        error,
                        "what was replayed is dropped when the view is next opened"
                    );
                }
                Err(halt)
            }
        }
    }

    /// Replays the log until little is left.
    async fn fill(&mut self, shadow: &dyn Instance, started: Instant) -> Result<(), Halt> {
        let mut head = self.events.head().await?;
        let mut cursor = shadow.cursor().await?;
        let mut feed = Feed::open(&*self.events, cursor, self.applier.options.rebuild_batch_events).await?;
        loop {
            self.progress.send_replace(Progress::new(cursor.position, head.position, started.elapsed()));
            let fed = tokio::select! {
                biased;
                () = self.applier.stop.told() => return Err(Halt::Stopped),
                fed = feed.next() => fed?,
            };
            let tell = |step: Step<'_>| {
                if let Step::Committed(committed, ..) = step {
                    cursor = committed;
                }
            };
            self.applier.apply(shadow, head, &fed.events, &mut ParkedKeys::default(), tell).await?;
            head = self.events.head().await?;
            let left = head.position.get().saturating_sub(cursor.position.get());
            if fed.caught_up || left < self.applier.options.live_batch_events as u64 {
                self.progress.send_replace(Progress::new(cursor.position, head.position, started.elapsed()));
                return Ok(());
            }
        }
    }

    /// Lets the runner apply the rest and swap: between two of its transactions, so nobody writes to either meanwhile.
    async fn hand_over(&self, shadow: &Arc<dyn Instance>) -> Result<Cursor, Halt> {
        let (reply, answer) = oneshot::channel();
        let asked = TakeOver { shadow: Arc::clone(shadow), reply };
        // A runner that is gone was shut down.
        self.control.send(Control::TakeOver(asked)).await.map_err(|_| Halt::Stopped)?;
        answer.await.map_err(|_| Halt::Stopped)?.map_err(Halt::Failed)
    }
}
