//! What Annalist says of itself: metrics and health, as plain data.
//!
//! A package declares each [`Metric`] once, counts with [`Counter`] and [`Histogram`], which are atomics without locks and
//! names, and puts names and values together only when someone asks: [`Metrics`] is what was measured up to that moment.
//! There is no registry, global or other, so two stores in one process do not disturb each other.

mod declared;
mod health;
mod measure;

mod metrics;

mod markdown;
mod text;

#[cfg(test)]
mod tests;

pub use declared::{Kind, Metric, Unit};
pub use health::Health;
pub use markdown::table;
pub use measure::{Buckets, Counter, Histogram};
pub use metrics::{Family, Metrics, Sample, Value};
