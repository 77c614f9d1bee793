//! The time of events: each look is later than the one before.

use annalist_core::Timestamp;

#[derive(Debug)]
pub(crate) struct Clock {
    last: Timestamp,
}

impl Clock {
    pub(crate) const fn after(last: Timestamp) -> Self {
        Self { last }
    }

    pub(crate) const fn last(&self) -> Timestamp {
        self.last
    }

    pub(crate) fn go_on_from(&mut self, time: Timestamp) -> Timestamp {
        self.last = self.last.max(time);
        self.last
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        self.last = Timestamp::from_micros(self.last.as_micros() + 1);
        self.last
    }
}
