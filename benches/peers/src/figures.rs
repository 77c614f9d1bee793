//! What a measurement says: figures by name, so that tables and files need no more than the names.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{cpu::Spent, memory};

/// The names of figures, as tables and files have them.
pub(crate) const RATE: &str = "events/s";
pub(crate) const P50: &str = "p50 ms";
pub(crate) const P99: &str = "p99 ms";
pub(crate) const P999: &str = "p99.9 ms";
pub(crate) const READS: &str = "reads/s";
pub(crate) const OPEN: &str = "open ms";
pub(crate) const READY: &str = "first append ms";
pub(crate) const SIZE: &str = "bytes/event";
pub(crate) const PEAK: &str = "peak MiB";
pub(crate) const OWN: &str = "own MiB";
pub(crate) const CLIENT_CPU: &str = "client µs";
pub(crate) const SERVER_CPU: &str = "server µs";

/// Figures by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// A rate, and latencies that were recorded in microseconds.
    pub(crate) fn of(latency_us: &Histogram<u64>, rate: f64) -> Self {
        let mut figures = Self::default().with(RATE, rate);
        for (name, quantile) in [(P50, 0.5), (P99, 0.99), (P999, 0.999)] {
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let micros = latency_us.value_at_quantile(quantile) as f64;
            figures = figures.with(name, micros / 1000.0);
        }
        figures
    }

    /// These and one more.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// These and what memory a process has.
    #[must_use]
    pub(crate) fn of_process(self, process: u32) -> Self {
        self.with(PEAK, memory::peak_mib(process)).with(OWN, memory::own_mib(process))
    }

    /// These and the processor time of each of so many operations.
    #[must_use]
    pub(crate) fn spending(self, spent: Spent, operations: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let operations = operations as f64;
        self.with(CLIENT_CPU, spent.load / operations).with(SERVER_CPU, spent.store / operations)
    }

    /// The figure of this name, if it was measured.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// The median of each figure; of two, their mean.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let mut values = BTreeMap::<&str, Vec<f64>>::new();
        for (name, value) in rounds.iter().flat_map(|figures| &figures.0) {
            values.entry(name).or_default().push(*value);
        }
        let medians = values.into_iter().map(|(name, mut values)| {
            values.sort_by(f64::total_cmp);
            let (low, high) = (values.get((values.len() - 1) / 2), values.get(values.len() / 2));
            (name.to_owned(), f64::midpoint(low.copied().unwrap_or(f64::NAN), high.copied().unwrap_or(f64::NAN)))
        });
        Self(medians.collect())
    }
}
