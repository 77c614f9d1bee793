//! The one place where the engine reads the time.

use annalist_core::Timestamp;

/// Gives the present, never earlier than what it gave before.
#[derive(Debug)]
pub(crate) struct Clock {
    last: Timestamp,
}

impl Clock {
    /// A clock that goes on from `last`, the time of the newest recorded event.
    pub(crate) const fn after(last: Timestamp) -> Self {
        Self { last }
    }

    #[expect(clippy::disallowed_methods, reason = "the engine's clock is the one place where it reads the time")]
    pub(crate) fn now(&mut self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX));
        self.last = self.last.max(now);
        self.last
    }
}
