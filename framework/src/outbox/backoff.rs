//! Pauses between attempts.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// Pauses that double from a least to a greatest length, each shortened by up to half, so that many services do not
/// come back at the same moment. What it is shortened by follows from a seed: the same relay does the same again.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    seed: u64,
    attempt: u32,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration, seed: &impl Hash) -> Self {
        Self { min, max, seed: hash(seed), attempt: 0 }
    }

    /// Something worked: the next pause is short again.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let full = self.min.saturating_mul(2_u32.saturating_pow(self.attempt)).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        let per_mille = u32::try_from(hash(&(self.seed, self.attempt)) % 500).unwrap_or(0);
        full * (1000 - per_mille) / 1000
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
