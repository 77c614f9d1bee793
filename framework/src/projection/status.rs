//! How far a projection is, for people and for readers who wait.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use annalist_core::{Cursor, Position, Timestamp};
use tokio::time::Instant;

use super::{options::RATE_WINDOW, parking::ParkedCount};

/// There is no such projection. Register it before the service starts.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no projection `{name}`; registered are: {registered}")]
pub struct UnknownProjection {
    /// The name that was asked for.
    pub name: String,
    /// The names that there are.
    pub registered: String,
}

/// What a projection is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProjectionState {
    /// Its view is filled for the first time: readers do not see it yet.
    Building,
    /// Its view is behind the log, as it was when the service started, and catches up.
    Replaying,
    /// It has caught up and applies events as they are recorded.
    Live,
    /// The store of its rows is away, or takes no writes, as when its disk is full. It is asked again every few seconds, for as long as it takes, and the projection goes
    /// on where the store is then.
    Waiting {
        /// Since when, as far as the projection has noticed.
        since: Timestamp,
        /// What the store, or the way to it, said last.
        error: String,
    },
    /// It stopped. The view stays as it is: everything before the event, nothing behind it.
    Failed {
        /// The event that could not be applied; `None` if the failure concerns no single event.
        position: Option<Position>,
        /// What went wrong and what to do.
        error: String,
    },
    /// The view belongs to another log than this one, as after the log was restored from a backup: it has seen events that
    /// the log does not have. It stays as it is until it is rebuilt.
    Foreign {
        /// Which cursor does not fit which log.
        error: String,
    },
    /// It was shut down, or the store was closed.
    Stopped,
}

impl ProjectionState {
    /// Whether the view goes no further without help.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Foreign { .. } | Self::Stopped)
    }
}

/// How far a projection is.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// The projection.
    pub name: &'static str,
    /// Its declared version.
    pub version: u32,
    /// What it is doing.
    pub state: ProjectionState,
    /// The last event in its view.
    pub cursor: Cursor,
    /// The last event of the log.
    pub head: Cursor,
    /// Events between the two.
    pub lag: u64,
    /// How long ago the oldest event was recorded that is not in the view; zero when none is missing. Parked events are
    /// counted as seen.
    pub lag_time: Duration,
    /// Events per second, over the last seconds.
    pub rate: f64,
    /// What is parked in the view.
    pub parked: ParkedCount,
    /// Attempts that failed since the start.
    pub errors: u64,
    /// Why the last of them failed.
    pub last_error: Option<String>,
    /// A rebuild in progress beside the view.
    pub rebuild: Option<Progress>,
}

/// How far a rebuild is.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Events replayed.
    pub done: u64,
    /// Events of the log, as far as known.
    pub total: u64,
    /// Events per second since it began, or went on after a restart.
    pub rate: f64,
    /// Time left at this rate; `None` until there is a rate.
    pub left: Option<Duration>,
    /// Whether it waits until it is told to go on.
    pub paused: bool,
    /// Whether it waits for the store of the rows, which is away.
    pub waiting: bool,
}

impl Progress {
    pub(super) const START: Self = Self { done: 0, total: 0, rate: 0.0, left: None, paused: false, waiting: false };

    /// Events up to `from` were replayed before.
    pub(super) fn new(from: Position, done: Position, total: Position, elapsed: Duration) -> Self {
        let (done, total) = (done.get(), total.get().max(done.get()));
        let rate = per_second(done.saturating_sub(from.get()), elapsed);
        let left =
            (rate > 0.0).then(|| Duration::try_from_secs_f64(float(total - done) / rate).unwrap_or(Duration::MAX));
        Self { done, total, rate, left, ..Self::START }
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        if self.total == 0 { 1.0 } else { float(self.done) / float(self.total) }
    }
}

/// What a runner publishes after every commit.
#[derive(Clone, Debug)]
pub(super) struct Published {
    pub(super) state: ProjectionState,
    pub(super) cursor: Cursor,
    /// Whether readers see the view: it was complete once.
    pub(super) readable: bool,
    pub(super) rate: f64,
    pub(super) at: Instant,
    pub(super) parked: ParkedCount,
    pub(super) errors: u64,
    pub(super) last_error: Option<Arc<str>>,
}

impl Published {
    pub(super) fn new(cursor: Cursor, readable: bool) -> Self {
        let (state, at, parked) = (ProjectionState::Stopped, Instant::now(), ParkedCount::default());
        let mut new = Self { state, cursor, readable, rate: 0.0, at, parked, errors: 0, last_error: None };
        new.begin(cursor, readable, parked);
        new
    }

    /// An instance is followed from here on.
    pub(super) fn begin(&mut self, cursor: Cursor, readable: bool, parked: ParkedCount) {
        self.state = if readable { ProjectionState::Replaying } else { ProjectionState::Building };
        (self.cursor, self.readable, self.parked) = (cursor, readable, parked);
        (self.rate, self.at) = (0.0, Instant::now());
    }

    /// The store of the rows is away.
    pub(super) fn wait(&mut self, now: Timestamp, error: &str) {
        let since = match self.state {
            ProjectionState::Waiting { since, .. } => since,
            _ => now,
        };
        self.state = ProjectionState::Waiting { since, error: error.to_owned() };
    }

    /// The status at this moment.
    pub(super) fn status(
        &self,
        name: &'static str,
        version: u32,
        head: Cursor,
        lag_time: Duration,
        rebuild: Option<Progress>,
    ) -> ProjectionStatus {
        let rate = if self.at.elapsed() < RATE_WINDOW { self.rate } else { 0.0 };
        let Self { cursor, parked, errors, .. } = *self;
        let lag = head.position.get().saturating_sub(cursor.position.get());
        let (state, last_error) = (self.state.clone(), self.last_error.as_deref().map(str::to_owned));
        ProjectionStatus {
            name,
            version,
            state,
            cursor,
            head,
            lag,
            lag_time,
            rate,
            parked,
            errors,
            last_error,
            rebuild,
        }
    }
}

/// Measures events per second over the last seconds.
#[derive(Debug)]
pub(super) struct Rate {
    /// When so many events in all had been applied.
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    pub(super) fn new() -> Self {
        Self { samples: VecDeque::from([(Instant::now(), 0)]) }
    }

    /// Notes that so many more were applied and tells the rate.
    pub(super) fn add(&mut self, events: u64) -> f64 {
        let now = Instant::now();
        let total = self.samples.back().map_or(0, |(_, total)| *total) + events;
        self.samples.push_back((now, total));
        while self.samples.get(1).is_some_and(|(at, _)| now - *at > RATE_WINDOW) {
            self.samples.pop_front();
        }
        let (since, before) = self.samples.front().copied().unwrap_or((now, total));
        per_second(total - before, now - since)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people; 52 bits are plenty")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Zero as long as no time has passed.
pub(super) fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { float(count) / seconds } else { 0.0 }
}

impl fmt::Display for ProjectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Building => f.write_str("building"),
            Self::Replaying => f.write_str("replaying"),
            Self::Live => f.write_str("live"),
            Self::Waiting { since, error } => write!(f, "waiting for its store since {since}: {error}"),
            Self::Failed { position: Some(position), error } => write!(f, "failed at event {position}: {error}"),
            Self::Failed { position: None, error } => write!(f, "failed: {error}"),
            Self::Foreign { error } => write!(f, "foreign, to be rebuilt: {error}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// `revenue v2: replaying, 1042 of 1300 events, 258 behind by 3.2 s, 12000/s; 3 events of 1 keys are parked`
impl fmt::Display for ProjectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cursor, head) = (self.cursor.position, self.head.position);
        write!(f, "{} v{}: {}, {cursor} of {head} events", self.name, self.version, self.state)?;
        if self.lag > 0 {
            write!(f, ", {} behind", self.lag)?;
        }
        if !self.lag_time.is_zero() {
            write!(f, " by {:.1} s", self.lag_time.as_secs_f64())?;
        }
        if self.rate > 0.0 {
            write!(f, ", {:.0}/s", self.rate)?;
        }
        let ParkedCount { keys, events } = self.parked;
        if events > 0 {
            write!(f, "; {events} events of {keys} keys are parked")?;
        }
        if self.errors > 0 {
            write!(f, "; {} attempts failed", self.errors)?;
        }
        match &self.rebuild {
            Some(progress) => write!(f, "; rebuilding: {progress}"),
            None => Ok(()),
        }
    }
}

/// `45 %, 450 of 1000 events, 12000/s, 3 s left`
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %, {} of {} events, {:.0}/s", self.fraction() * 100.0, self.done, self.total, self.rate)?;
        match self.left {
            _ if self.paused => f.write_str(", paused"),
            _ if self.waiting => f.write_str(", waiting for its store"),
            Some(left) => write!(f, ", {} s left", left.as_secs()),
            None => Ok(()),
        }
    }
}
