//! What was measured up to a moment.

use super::{
    declared::Metric,
    health::Health,
    measure::{Buckets, Counter, Histogram},
};

/// What was measured up to a moment: plain data, to be written as text or handed to something else.
///
/// ```
/// use annalist_metrics::{Metric, Metrics};
/// const LAG: Metric = Metric::gauge("annalist_projection_lag", "Events that a view has not seen.").labels(&["projection"]);
///
/// let mut metrics = Metrics::default();
/// metrics.add(LAG, &["balances"], 3.0);
/// assert_eq!(metrics.number("annalist_projection_lag", &["balances"]), Some(3.0));
/// assert!(metrics.to_text().contains("annalist_projection_lag{projection=\"balances\"} 3.0\n"));
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metrics {
    families: Vec<Family>,
}

/// All that was measured of one metric.
#[derive(Clone, PartialEq, Debug)]
pub struct Family {
    /// The metric.
    pub metric: Metric,
    /// Its values, one for each combination of labels.
    pub samples: Vec<Sample>,
}

/// One value of a metric.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The values of the metric's labels, in their order.
    pub labels: Vec<String>,
    /// What was measured.
    pub value: Value,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Number(f64),
    /// Of a histogram.
    Buckets(Buckets),
}

impl Metrics {
    /// Adds a value; `labels` are those of the metric, in their order.
    pub fn add(&mut self, metric: Metric, labels: &[&str], value: impl Into<Value>) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{} is not labelled so", metric.name);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.family(metric).samples.push(Sample { labels, value: value.into() });
    }

    /// Adds a gauge that counts something.
    #[expect(clippy::cast_precision_loss, reason = "a measurement; 52 bits are plenty")]
    pub fn add_gauge(&mut self, metric: Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, count as f64);
    }

    /// Adds 1 for the state of something and 0 for the others; `labels` are those before the last, `state`.
    pub fn add_health(&mut self, metric: Metric, labels: &[&str], health: &Health) {
        for state in Health::STATES {
            self.add_gauge(metric, &[labels, &[state]].concat(), u64::from(health.state() == state));
        }
    }

    fn family(&mut self, metric: Metric) -> &mut Family {
        let at = self.families.iter().position(|family| family.metric == metric).unwrap_or(self.families.len());
        if at == self.families.len() {
            self.families.push(Family { metric, samples: Vec::new() });
        }
        self.families.get_mut(at).expect("it was found, or added, at this place")
    }

    /// Adds all that others measured.
    pub fn extend(&mut self, others: Self) {
        for Family { metric, samples } in others.families {
            self.family(metric).samples.extend(samples);
        }
    }

    /// All metrics, in the order in which they were measured.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// A value by the declared name of its metric.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[&str]) -> Option<&Value> {
        let family = self.families.iter().find(|family| family.metric.name == name)?;
        let sample = family.samples.iter().find(|sample| sample.labels == labels)?;
        Some(&sample.value)
    }

    /// The same as a number: of a histogram, how many values it has counted.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a measurement; 52 bits are plenty")]
    pub fn number(&self, name: &str, labels: &[&str]) -> Option<f64> {
        Some(match self.value(name, labels)? {
            Value::Count(count) => *count as f64,
            Value::Number(number) => *number,
            Value::Buckets(buckets) => buckets.count() as f64,
        })
    }
}

impl From<&Counter> for Value {
    fn from(counter: &Counter) -> Self {
        Self::Count(counter.get())
    }
}

impl From<&Histogram> for Value {
    fn from(histogram: &Histogram) -> Self {
        Self::Buckets(histogram.buckets())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}
