//! How many repetitions a client may make.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::{REPEAT_PERCENT, REPEATS_MAX, REPEATS_PER_SECOND};

/// A repetition, in the hundredths that calls earn.
const ONE: u64 = 100;

/// Repetitions that may still be made. They are earned by calls and by time, and saved up to a bound.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    hundredths: u64,
    /// Up to when time was counted.
    counted: Instant,
}

impl Budget {
    /// A full one.
    pub(crate) fn new() -> Self {
        Self { left: Mutex::new(Left { hundredths: most(), counted: Instant::now() }) }
    }

    /// A call is made.
    pub(crate) fn earn(&self) {
        let mut left = self.left.lock();
        left.hundredths = (left.hundredths + u64::from(REPEAT_PERCENT)).min(most());
    }

    /// Takes one repetition, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let mut left = self.left.lock();
        let seconds = left.counted.elapsed().as_secs();
        left.counted += Duration::from_secs(seconds);
        let earned = seconds.saturating_mul(u64::from(REPEATS_PER_SECOND) * ONE);
        left.hundredths = left.hundredths.saturating_add(earned).min(most());
        let may = left.hundredths >= ONE;
        if may {
            left.hundredths -= ONE;
        }
        may
    }
}

fn most() -> u64 {
    u64::from(REPEATS_MAX) * ONE
}

#[cfg(test)]
mod tests;
