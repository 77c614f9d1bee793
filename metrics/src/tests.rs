use std::time::Duration;

use crate::{Counter, Health, Histogram, Metric, Metrics, Unit, table};

const DURATION: Metric = Metric::histogram("annalist_append_duration", "How long.").unit(Unit::Seconds);
const REFUSED: Metric = Metric::counter("annalist_append_refused", "How many.").labels(&["reason"]).worry("always");
const HEALTH: Metric = Metric::gauge("annalist_store_health", "Which.").labels(&["state"]);

#[test]
fn values_are_counted_by_size_each_in_the_first_bucket_that_takes_it() {
    let histogram = Histogram::of_durations();
    for micros in [0, 10, 11, 1_000, 60_000_000] {
        histogram.took(Duration::from_micros(micros));
    }
    let buckets = histogram.buckets();
    let of =
        |bound: f64| buckets.counts.iter().find(|(found, _)| (found - bound).abs() < 1e-12).map(|(_, count)| *count);
    assert_eq!((of(10e-6), of(25e-6), of(1e-3)), (Some(2), Some(1), Some(1)), "a bound is part of its bucket");
    assert_eq!(buckets.counts.last(), Some(&(f64::INFINITY, 1)), "what is larger than all");
    assert_eq!(buckets.count(), 5);
    assert!((buckets.sum - 60.001_021).abs() < 1e-9, "{}", buckets.sum);
}

#[test]
fn text_is_what_prometheus_reads() {
    let (histogram, counter) = (Histogram::of_durations(), Counter::default());
    histogram.took(Duration::from_micros(20));
    counter.add(3);
    let mut metrics = Metrics::default();
    metrics.add(DURATION, &[], &histogram);
    metrics.add(REFUSED, &["a \"quoted\"\nreason\\"], &counter);
    metrics.add_health(HEALTH, &[], &Health::degraded("it is behind"));
    let text = metrics.to_text();
    for line in [
        "# HELP annalist_append_duration_seconds How long.",
        "# TYPE annalist_append_duration_seconds histogram",
        "# UNIT annalist_append_duration_seconds seconds",
        "annalist_append_duration_seconds_count 1",
        "annalist_append_duration_seconds_bucket{le=\"0.000025\"} 1",
        "annalist_append_duration_seconds_bucket{le=\"+Inf\"} 1",
        "# TYPE annalist_append_refused counter",
        "annalist_append_refused_total{reason=\"a \\\"quoted\\\"\\nreason\\\\\"} 3",
        "annalist_store_health{state=\"healthy\"} 0.0",
        "annalist_store_health{state=\"degraded\"} 1.0",
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` is missing in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(metrics.to_text_behind("own 1\n".to_owned()).starts_with("own 1\n# HELP"));
}

#[test]
fn values_of_one_metric_stand_together_whoever_measured_them() {
    let measured = |reason| {
        let mut metrics = Metrics::default();
        metrics.add(REFUSED, &[reason], 1_u64);
        metrics
    };
    let mut all = measured("conflict");
    all.extend(measured("poisoned"));
    assert_eq!(all.families().len(), 1);
    assert_eq!(all.number("annalist_append_refused", &["poisoned"]), Some(1.0));
    assert_eq!(all.number("annalist_append_refused", &["unknown"]), None);
}

#[test]
fn a_table_says_everything_of_a_metric() {
    let last = table(&[REFUSED]).lines().last().map(str::to_owned);
    assert_eq!(last.as_deref(), Some("| `annalist_append_refused_total` | counter | `reason` | How many. | always |"));
}

#[test]
fn health_says_its_state_and_why() {
    let health = Health::read_only("the disk is full");
    assert_eq!(health.to_string(), "read-only: the disk is full");
    assert!(!health.takes_writes() && Health::degraded("the broker is away").takes_writes());
    let severities =
        [Health::Healthy, Health::degraded(""), health, Health::failed("")].map(|health| health.severity());
    assert!(severities.is_sorted());
}
