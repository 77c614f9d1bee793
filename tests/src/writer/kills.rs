//! Deaths at random moments.

use std::{fmt, thread, time::Duration};

use super::{Acks, Writer};
use crate::runs::environment;

/// How often a writer is killed, and when.
#[derive(Debug)]
pub struct Kills {
    seed: u64,
    random: u64,
    /// How often.
    pub rounds: u64,
}

impl Kills {
    /// `ANNALIST_CRASH_ROUNDS` times, or so often if nothing is said, at the moments of `ANNALIST_SEED`, or others in each process.
    #[must_use]
    pub fn of(rounds: u64) -> Self {
        let seed = environment("ANNALIST_SEED").unwrap_or(u64::from(std::process::id()) * 7919 + 1).max(1);
        Self { seed, random: seed, rounds: environment("ANNALIST_CRASH_ROUNDS").unwrap_or(rounds) }
    }

    /// Kills a writer a moment after it had less than `most` more appends acknowledged; takes all that were.
    ///
    /// # Panics
    /// As [`Writer::wait`].
    pub fn kill(&mut self, mut writer: Writer, most: u64, acks: &mut Acks) {
        // Some die young, while the store is still busy with what it found.
        writer.wait(self.next() % most, acks);
        thread::sleep(Duration::from_micros(self.next() % 3000));
        writer.child.kill().expect("the writer can be killed");
        writer.rest(acks);
    }

    /// A small generator of pseudo-random numbers (xorshift64, Marsaglia 2003).
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// How to repeat them.
impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ANNALIST_SEED={} ANNALIST_CRASH_ROUNDS={}", self.seed, self.rounds)
    }
}
