//! A rebuild, in the hands of whoever began it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use annalist_core::{Cursor, Position};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{oneshot, watch};

use super::status::{Progress, UnknownProjection, per_second};

/// A rebuild in progress; await it for its end. Dropping it cancels it: the live view stays as it is.
///
/// A shutdown or a crash does not cancel it: it goes on at the next start, where it was, if the read model can keep what it
/// has filled. Nobody waits for it then; see [`ProjectionControl`](super::ProjectionControl).
#[must_use = "dropping a rebuild cancels it"]
#[derive(Debug)]
pub struct Rebuild {
    pub(super) name: String,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) done: oneshot::Receiver<Result<Rebuilt, RebuildError>>,
    /// `None` once nobody is to cancel it by dropping this.
    pub(super) cancel: Option<watch::Sender<bool>>,
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
    /// There is no view to roll back to: none was kept, or it was released.
    #[error("the projection `{name}` has kept no view to roll back to")]
    NoPrevious {
        /// The projection.
        name: String,
    },
    /// The read model keeps no instance beside the live one.
    #[error("the read model of `{name}` keeps no view beside the live one")]
    CannotKeep {
        /// The projection.
        name: String,
    },
    /// The projections were shut down meanwhile. It goes on at the next start.
    #[error("the rebuild of `{name}` was interrupted and goes on at the next start")]
    Interrupted {
        /// The projection.
        name: String,
    },
    /// It was cancelled, or the projections were shut down and the read model cannot keep what it had filled.
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
    pub(super) fn refused(name: &str, error: RebuildError) -> Self {
        let (done, answer) = oneshot::channel();
        drop(done.send(Err(error)));
        Self { name: name.to_owned(), progress: watch::channel(Progress::START).1, done: answer, cancel: None }
    }

    /// Lets it go on by itself: dropping this no longer cancels it.
    pub fn detach(mut self) {
        self.cancel = None;
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

impl Drop for Rebuild {
    fn drop(&mut self) {
        if let Some(cancel) = &self.cancel {
            cancel.send_replace(true);
        }
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
