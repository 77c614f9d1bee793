use std::{fs, path::Path};

use super::*;

const SECTION: &str = "\n## The server\n";

/// The framework's test does the same for what stands before.
#[test]
fn every_metric_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = fs::read_to_string(&path).expect("it can be read");
    let (before, found) = text.split_once(SECTION).unwrap_or((&text, ""));
    let expected = format!("\n{}", annalist_metrics::table(METRICS));
    if std::env::var("ANNALIST_LOCK").as_deref() == Ok("update") {
        fs::write(&path, format!("{before}{SECTION}{expected}")).expect("it can be written");
        return;
    }
    assert_eq!(found, expected, "write docs/metrics.md with ANNALIST_LOCK=update");
}

#[test]
fn names_are_of_groups() {
    for Metric { name, labels, help, .. } in METRICS {
        assert!(name.starts_with("annalist_group_"), "`{name}` is not `annalist_`, a stage and words");
        assert!(*labels == ["group"] && help.ends_with('.'), "{name}");
    }
}

#[test]
fn all_that_is_declared_is_measured() {
    let meter = GroupMeter::default();
    meter.read.store(5, Relaxed);
    meter.redelivered.add(2);
    let mut metrics = Metrics::default();
    meter.add_to(&mut metrics, "shipping", 7);
    let names: Vec<&str> = metrics.families().iter().map(|family| family.metric.name).collect();
    let declared: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names, declared);
    assert_eq!(metrics.number("annalist_group_lag_events", &["shipping"]), Some(2.0));
    assert_eq!(metrics.number("annalist_group_redelivered_events", &["shipping"]), Some(2.0));
}
