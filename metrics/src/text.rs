//! Metrics as the text that Prometheus reads (`OpenMetrics` 1.0).

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, MetricEncoder, NoLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{MetricType, exemplar::Exemplar},
    registry::{self, Registry},
};

use super::{
    declared::{Kind, Unit},
    metrics::{Metrics, Sample, Value},
};

impl Metrics {
    /// The media type of [`Metrics::to_text`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All of it as the text that Prometheus reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.to_text_behind(String::new())
    }

    /// The same behind what the service measures itself, without the line `# EOF` at its end.
    #[must_use]
    pub fn to_text_behind(&self, mut text: String) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Collected(self.clone())));
        // Writing to memory does not fail.
        let _ = encode_registry(&mut text, &registry).and_then(|()| encode_eof(&mut text));
        text
    }
}

/// What a registry is given: the library's types stay out of this package's API.
#[derive(Debug)]
struct Collected(Metrics);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.0.families() {
            let metric = family.metric;
            let unit = metric.unit.map(|unit| match unit {
                Unit::Seconds => registry::Unit::Seconds,
                Unit::Bytes => registry::Unit::Bytes,
                Unit::Ratio => registry::Unit::Other(unit.name().to_owned()),
            });
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut encoder = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for Sample { labels, value } in &family.samples {
                let labels: Vec<_> = metric.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
                if labels.is_empty() {
                    encode(&mut encoder, value)?;
                } else {
                    encode(&mut encoder.encode_family(&labels)?, value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(encoder: &mut MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Count(count) => encoder.encode_counter(count, None::<&Exemplar<NoLabelSet, u64>>),
        Value::Number(number) => encoder.encode_gauge(number),
        Value::Buckets(buckets) => {
            encoder.encode_histogram::<NoLabelSet>(buckets.sum, buckets.count(), &buckets.counts, None)
        }
    }
}
