//! What a breaker remembers of the past.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::policy::Window;
use crate::limits::BREAKER_TIME_SLOTS;

/// Calls by how they ended.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn subtract(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failed = self.failed.saturating_sub(other.failed);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}

/// The calls in a window: slots in order, each with its number. A window of calls has one call in each slot; a window of time
/// has slots of a tenth of it.
#[derive(Debug)]
pub(super) struct Tally {
    slots: VecDeque<(u64, Counts)>,
    total: Counts,
    kept: u64,
    /// How long a slot lasts; `None` when each call has its own.
    lasts: Option<Duration>,
    since: Instant,
    /// The number of the next call's slot, when each has its own.
    next: u64,
}

impl Tally {
    pub(super) fn new(window: Window, now: Instant) -> Self {
        let (kept, lasts) = match window {
            Window::Calls(calls) => (u64::from(calls), None),
            Window::Time(time) => {
                let tenth = time / u32::try_from(BREAKER_TIME_SLOTS).unwrap_or(1);
                (BREAKER_TIME_SLOTS, Some(tenth.max(Duration::from_nanos(1))))
            }
        };
        Self { slots: VecDeque::new(), total: Counts::default(), kept, lasts, since: now, next: 0 }
    }

    /// Takes a call in, and tells what is in the window then.
    pub(super) fn add(&mut self, now: Instant, counts: Counts) -> Counts {
        let slot = self.slot(now);
        match self.slots.back_mut() {
            Some((last, sum)) if *last == slot => sum.add(counts),
            _ => self.slots.push_back((slot, counts)),
        }
        self.total.add(counts);
        while let Some((first, old)) = self.slots.front().copied()
            && slot - first >= self.kept
        {
            self.slots.pop_front();
            self.total.subtract(old);
        }
        self.total
    }

    /// The number of the slot that a call which ends now belongs to. Never less than one before.
    fn slot(&mut self, now: Instant) -> u64 {
        let slot = match self.lasts {
            Some(lasts) => {
                let slots = now.saturating_duration_since(self.since).as_nanos() / lasts.as_nanos().max(1);
                u64::try_from(slots).unwrap_or(u64::MAX).max(self.next)
            }
            None => self.next + 1,
        };
        self.next = slot;
        slot
    }
}
