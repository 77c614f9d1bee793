//! What a metric is called and what it means.

/// What a metric does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It only grows, from zero at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size.
    Histogram,
}

/// What a metric is measured in. Its name ends with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// From 0 to 1.
    Ratio,
}

impl Unit {
    /// As names end.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }
}

/// A metric as it is declared: once, in the `metrics` module of its package.
///
/// ```
/// use annalist_metrics::Metric;
/// const REFUSED: Metric = Metric::counter("annalist_append_refused", "Appends that were refused.")
///     .labels(&["reason"])
///     .worry("`poisoned` at all");
/// assert_eq!(REFUSED.exposed_name(), "annalist_append_refused_total");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// `annalist_`, the stage, and what is measured; without unit and suffix. It never changes: dashboards know it.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// What it is measured in; `None` for what is counted in pieces.
    pub unit: Option<Unit>,
    /// The names of its labels. Their values are few and known: never ids.
    pub labels: &'static [&'static str],
    /// What it means, in a sentence.
    pub help: &'static str,
    /// When somebody should look at it; empty if it only explains others.
    pub worry: &'static str,
}

impl Metric {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, unit: None, labels: &[], help, worry: "" }
    }

    /// One that only grows.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Counter, help)
    }

    /// One that goes up and down.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Gauge, help)
    }

    /// One that counts values by size.
    #[must_use]
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Histogram, help)
    }

    /// The same in a unit.
    #[must_use]
    pub const fn unit(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// The same, by labels.
    #[must_use]
    pub const fn labels(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }

    /// The same, with a word on when to look at it.
    #[must_use]
    pub const fn worry(self, worry: &'static str) -> Self {
        Self { worry, ..self }
    }

    /// Its name as it is asked for in a query: with the unit, and `_total` behind a counter. (A histogram has `_bucket`,
    /// `_sum` and `_count` behind it.)
    #[must_use]
    pub fn exposed_name(&self) -> String {
        let mut name = self.name.to_owned();
        if let Some(unit) = self.unit {
            name = format!("{name}_{}", unit.name());
        }
        if self.kind == Kind::Counter { name + "_total" } else { name }
    }
}
