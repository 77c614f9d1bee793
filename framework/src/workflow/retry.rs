//! How often something is tried again, and when.

use std::time::Duration;

/// How often a command is sent again that was rejected, and how long the pauses are. Each time is a new decision, so each
/// has an identity of its own.
///
/// ```
/// # use std::time::Duration;
/// # use annalist::workflow::Retry;
/// let retry = Retry::times(3).backoff(Duration::from_secs(2), Duration::from_secs(5));    // after 2, 4 and 5 seconds
/// # assert_ne!(retry, Retry::never());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    times: u32,
    first: Duration,
    max: Duration,
}

impl Retry {
    /// What cannot be undone any more, and what undoes, is tried again so often before a person must look at it: from a
    /// second to five minutes, a quarter of an hour in all.
    pub(super) const PATIENT: Self = Self::times(10).backoff(Duration::from_secs(1), Duration::from_mins(5));

    /// Not at all: the first rejection counts.
    #[must_use]
    pub const fn never() -> Self {
        Self::times(0)
    }

    /// So often, after one second, two, four, at most a minute.
    #[must_use]
    pub const fn times(times: u32) -> Self {
        Self { times, first: Duration::from_secs(1), max: Duration::from_mins(1) }
    }

    /// With these pauses: the first, which doubles each time, up to the longest.
    #[must_use]
    pub const fn backoff(self, first: Duration, max: Duration) -> Self {
        Self { first, max, ..self }
    }

    /// So often at most.
    pub(super) const fn at_most(&self) -> u32 {
        self.times
    }

    /// The pause behind so many attempts, from 1; `None` if that was the last.
    pub(super) fn pause(&self, attempts: u32) -> Option<Duration> {
        let doubled = || self.first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        (attempts <= self.times).then(|| doubled().min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Retry};

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let seconds = |retry: Retry| {
            (1..6).map(|attempts| retry.pause(attempts).map(|pause| pause.as_secs())).collect::<Vec<_>>()
        };
        let retry = Retry::times(4).backoff(Duration::from_secs(2), Duration::from_secs(10));
        assert_eq!(seconds(retry), [Some(2), Some(4), Some(8), Some(10), None]);
        assert_eq!(seconds(Retry::never())[0], None);
        let for_ever = Retry::times(u32::MAX).pause(1_000);
        assert_eq!(for_ever, Some(Duration::from_mins(1)));
    }
}
