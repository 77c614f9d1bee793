//! What happens to an event that cannot be applied: the projection stops, or the event's key is set aside.

use std::{collections::HashMap, time::Duration};

use annalist_core::{Position, Timestamp};

use super::options::ProjectionOptions;

/// What a projection does about an event that cannot be applied, once trying again has not helped.
///
/// It stops right before the event, unless it says that it parks: then the event and all later ones of the same
/// [key](super::Projection::key) are set aside durably, in the transaction that passes them by, and the projection goes
/// on with all other keys. Events of one key are still applied in order, never over a hole.
///
/// ```
/// # use annalist::projection::OnFailure;
/// # use std::time::Duration;
/// let policy = OnFailure::park().attempts(3).backoff(Duration::from_millis(20));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnFailure {
    /// How many keys may be parked; `None`: it stops instead.
    pub(super) keys_max: Option<usize>,
    attempts_max: Option<u32>,
    backoff_first: Option<Duration>,
}

impl OnFailure {
    /// The projection stops right before the event and says so in its status.
    #[must_use]
    pub const fn stop() -> Self {
        Self { keys_max: None, attempts_max: None, backoff_first: None }
    }

    /// The event's key is parked. Its read model must be able to keep parked events, as all of ours are.
    #[must_use]
    pub const fn park() -> Self {
        Self { keys_max: Some(PARKED_KEYS_MAX), ..Self::stop() }
    }

    /// Most keys that are parked before the projection stops all the same: what fails for so many is no matter of single
    /// keys. Default: 1,000. Their names are held in memory. Means nothing to a projection that stops.
    #[must_use]
    pub const fn keys_max(self, keys_max: usize) -> Self {
        match self.keys_max {
            Some(_) => Self { keys_max: Some(keys_max), ..self },
            None => self,
        }
    }

    /// How often an event is tried, the first time included, in the place of [`ProjectionOptions::attempts_max`].
    #[must_use]
    pub const fn attempts(self, attempts_max: u32) -> Self {
        Self { attempts_max: Some(attempts_max), ..self }
    }

    /// The wait before the second attempt, in the place of [`ProjectionOptions::backoff_first`].
    #[must_use]
    pub const fn backoff(self, backoff_first: Duration) -> Self {
        Self { backoff_first: Some(backoff_first), ..self }
    }

    /// The options of a projection with this policy.
    pub(super) fn options(&self, mut options: ProjectionOptions) -> ProjectionOptions {
        options.attempts_max = self.attempts_max.unwrap_or(options.attempts_max);
        options.backoff_first = self.backoff_first.unwrap_or(options.backoff_first);
        options
    }
}

impl Default for OnFailure {
    fn default() -> Self {
        Self::stop()
    }
}

const PARKED_KEYS_MAX: usize = 1000;

/// An event that was set aside. The event itself is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// Its key: see [`Projection::key`](super::Projection::key).
    pub key: String,
    /// Where it stands in the log.
    pub position: Position,
    /// Why it could not be applied; `None` if it was not tried, since an earlier event of its key is parked.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was set aside, or last tried.
    pub time: Timestamp,
}

/// How much is parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ParkedCount {
    /// Keys with parked events.
    pub keys: u64,
    /// Parked events.
    pub events: u64,
}

/// The keys of an instance that have parked events, with how many each: what the applier asks for every event.
#[derive(Clone, Debug, Default)]
pub(super) struct ParkedKeys {
    by_key: HashMap<String, u64>,
    events: u64,
}

impl ParkedKeys {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn holds(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn add(&mut self, key: String) {
        *self.by_key.entry(key).or_default() += 1;
        self.events += 1;
    }

    pub(super) fn remove(&mut self, key: &str, events: u64) {
        let Some(left) = self.by_key.get_mut(key) else { return };
        let removed = events.min(*left);
        *left -= removed;
        self.events -= removed;
        if *left == 0 {
            self.by_key.remove(key);
        }
    }

    pub(super) fn count(&self) -> ParkedCount {
        ParkedCount { keys: self.by_key.len() as u64, events: self.events }
    }
}
