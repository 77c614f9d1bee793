//! How often to repeat what is drawn at random, and with which seed.

use proptest::{prelude::ProptestConfig, test_runner::RngSeed};

/// How many cases to draw, and from which seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) cases: u32,
    pub(crate) seed: u64,
}

impl Runs {
    /// `ANNALIST_CASES` cases, or `cases` if nothing is said; the seed of `ANNALIST_SEED`, or another in each process.
    pub(crate) fn of(cases: u32) -> Self {
        let seed = environment("ANNALIST_SEED").unwrap_or(u64::from(std::process::id()) * 7919 + 1);
        Self { cases: environment("ANNALIST_CASES").unwrap_or(cases), seed }
    }

    /// What proptest is told.
    pub(crate) fn config(self) -> ProptestConfig {
        let Self { cases, seed } = self;
        ProptestConfig { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..ProptestConfig::default() }
    }
}

impl std::fmt::Display for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ANNALIST_SEED={} ANNALIST_CASES={}", self.seed, self.cases)
    }
}

/// What a variable says, if it says something that can be.
pub(crate) fn environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
