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

    /// What it gave last.
    pub(crate) const fn last(&self) -> Timestamp {
        self.last
    }

    /// Goes on from a time that it did not give itself.
    pub(crate) fn go_on_from(&mut self, time: Timestamp) -> Timestamp {
        self.last = self.last.max(time);
        self.last
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        self.last = self.last.max(present());
        self.last
    }
}

/// What the system says the time is.
#[expect(clippy::disallowed_methods, reason = "the engine's clock is the one place where it reads the time")]
pub(crate) fn present() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
