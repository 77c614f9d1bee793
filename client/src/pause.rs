//! How long to wait before another attempt.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::limits::{PAUSE_FIRST, PAUSE_MAX};

/// The pauses between the attempts at one thing.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    attempts: u32,
}

impl Pauses {
    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let most = PAUSE_FIRST.saturating_mul(1 << self.attempts.min(16)).min(PAUSE_MAX);
        self.attempts = self.attempts.saturating_add(1);
        // The standard library has no other source of randomness; this is enough to keep clients apart.
        let drawn = RandomState::new().hash_one(self.attempts) % 1024;
        most / 2 + most.mul_f64(f64::from(u32::try_from(drawn).unwrap_or(0)) / 2048.0)
    }
}
