//! How quickly the disk answers: in microseconds while the operating system has in memory what is asked for, or as a disk
//! does. Nobody says which it will be, so it is guessed from the reads before.
//!
//! While nearly all are quick, a read that cannot be answered from memory of our own is done on the caller's thread: handing it to
//! another one costs several times what the read does. As soon as more than about one in thirty is slow, reads go to
//! threads that may block, many at a time.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{concurrency::Instant, limits};

/// What a slow read weighs against quick ones: reads count as quick while fewer than one in so many is slow.
const SLOW_WEIGHT: u32 = 32;
/// Below this score reads are taken for quick. A few slow ones in a row, which any busy machine has, do not reach it.
const QUICK_BELOW: u32 = 4 * SLOW_WEIGHT;
/// Where the score begins and ends: reads prove themselves quick before they count as such.
const SCORE_MAX: u32 = 2 * QUICK_BELOW;

/// While reads are slow, one fetch in so many reads page by page all the same, to find out whether they still are: many reads at
/// once on few processors wait for those too, and say nothing about the disk.
const PROBE_EVERY: u32 = 16;

#[derive(Debug)]
pub(crate) struct Pace {
    score: AtomicU32,
    fetches: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { score: AtomicU32::new(SCORE_MAX), fetches: AtomicU32::new(0) }
    }
}

impl Pace {
    /// Whether a read from the disk is likely to be over at once.
    pub(crate) fn is_quick(&self) -> bool {
        self.score.load(Ordering::Relaxed) < QUICK_BELOW
    }

    /// Whether a fetch should read page by page, on a thread that may block.
    pub(crate) fn is_worth_a_try(&self) -> bool {
        self.is_quick() || self.fetches.fetch_add(1, Ordering::Relaxed).is_multiple_of(PROBE_EVERY)
    }

    /// Reads so many pages, at least one, or looks one thing up, and says whether that was slow.
    pub(crate) fn observe<T>(&self, pages: usize, read: impl FnOnce() -> T) -> (T, bool) {
        let began = Instant::now();
        let result = read();
        let pages = u32::try_from(pages).unwrap_or(u32::MAX).max(1);
        let took = began.elapsed() / pages;
        self.note(pages, took);
        (result, took > limits::QUICK_READ)
    }

    /// Takes note of so many pages that took so long each. A thread that lost its processor for a while makes all pages of one
    /// read look slow, so they weigh as much as one. Several threads do this at once, and some of it may get lost: it is a guess.
    fn note(&self, pages: u32, took: Duration) {
        let score = self.score.load(Ordering::Relaxed);
        let next = if took > limits::QUICK_READ {
            (score + SLOW_WEIGHT).min(SCORE_MAX)
        } else if took > limits::CACHED_READ {
            score.saturating_sub(pages)
        } else {
            return;
        };
        self.score.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reads: impl IntoIterator<Item = u64>) -> Pace {
        let pace = Pace::default();
        reads.into_iter().for_each(|micros| pace.note(1, Duration::from_micros(micros)));
        pace
    }

    #[test]
    fn reads_prove_themselves_quick() {
        assert!(!after([]).is_quick(), "nothing is known yet");
        assert!(!after([10; 20]).is_quick(), "too few");
        assert!(!after([1; 1000]).is_quick(), "a cache says nothing of the disk");
        assert!(after([10; 1000]).is_quick());
    }

    #[test]
    fn a_disk_is_noticed_and_a_hiccup_is_not() {
        assert!(after([10; 1000].into_iter().chain([500; 2])).is_quick(), "a busy machine");
        assert!(!after([10; 1000].into_iter().chain([80; 10])).is_quick(), "a disk");
        let one_in_ten = (0..1000).map(|at| if at % 10 == 0 { 80 } else { 10 });
        assert!(!after([10; 1000].into_iter().chain(one_in_ten)).is_quick(), "a cache that misses too often");
        let one_in_hundred = (0..10_000).map(|at| if at % 100 == 0 { 80 } else { 10 });
        assert!(after(one_in_hundred).is_quick());
    }
}
