//! Metrics as a document for people.

use std::fmt::Write as _;

use super::declared::{Kind, Metric};

/// A Markdown table of declared metrics.
#[must_use]
pub fn table(metrics: &[Metric]) -> String {
    let mut table = "| metric | kind | labels | what it means | when to worry |\n|---|---|---|---|---|\n".to_owned();
    for metric in metrics {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels) = (metric.exposed_name(), labels.join(", "));
        // Writing to memory does not fail.
        let _ = writeln!(table, "| `{name}` | {kind} | {labels} | {} | {} |", metric.help, metric.worry);
    }
    table
}
