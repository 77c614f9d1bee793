//! What counts while the work is done: atomics, without locks and without names.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Counts.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts so many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bounds of durations, in nanoseconds: from what memory does to what a person notices.
const DURATIONS: &[u64] = &[
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];

/// Bounds of counts.
const COUNTS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536];

/// Counts values by size.
#[derive(Debug)]
pub struct Histogram {
    /// The largest value that each bucket takes.
    bounds: &'static [u64],
    /// What a value is multiplied with to be of the metric's unit.
    scale: f64,
    /// One for each bound, and one for what is larger than all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram has counted.
#[derive(Clone, PartialEq, Debug)]
pub struct Buckets {
    /// The largest value that a bucket takes, in the metric's unit, and how many values it has of its own. The last takes
    /// all that are larger than the others do.
    pub counts: Vec<(f64, u64)>,
    /// The sum of all values, in the metric's unit.
    pub sum: f64,
}

impl Buckets {
    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

impl Histogram {
    /// Of durations, from 10 µs to 10 s.
    #[must_use]
    pub fn of_durations() -> Self {
        Self::new(DURATIONS, 1e-9)
    }

    /// Of counts, from 1 to 65,536.
    #[must_use]
    pub fn of_counts() -> Self {
        Self::new(COUNTS, 1.0)
    }

    fn new(bounds: &'static [u64], scale: f64) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, scale, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn took(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted up to now. Values that are counted meanwhile may be in one of the numbers and not in another.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a measurement; 52 bits are plenty")]
    pub fn buckets(&self) -> Buckets {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 * self.scale).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let sum = self.sum.load(Ordering::Relaxed) as f64 * self.scale;
        Buckets { counts: bounds.zip(counts).collect(), sum }
    }
}
