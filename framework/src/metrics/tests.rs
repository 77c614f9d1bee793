use std::{collections::BTreeSet, path::Path};

use annalist_metrics::{Kind, Metric};

use super::{METRICS, OUTCOMES};
use crate::{
    command::CommandError,
    evolution::{Mode, check_text},
};

fn all() -> Vec<Metric> {
    [annalist_store::METRICS, METRICS].concat()
}

/// `annalist_`, a stage, and words.
fn is_name(name: &str) -> bool {
    const STAGES: [&str; 13] = [
        "command",
        "aggregate",
        "append",
        "page",
        "index",
        "subscription",
        "read",
        "store",
        "projection",
        "saga",
        "outbox",
        "inbox",
        "app",
    ];
    let mut parts = name.split('_');
    let begins = parts.next() == Some("annalist") && parts.next().is_some_and(|stage| STAGES.contains(&stage));
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    begins && parts.clone().next().is_some() && parts.all(is_word)
}

#[test]
fn names_follow_the_rule_and_are_told_apart() {
    for metric in all() {
        let Metric { name, unit, labels, help, .. } = metric;
        assert!(is_name(&metric.exposed_name()), "`{name}` is not `annalist_`, a stage and words");
        let suffixes = ["_total", "_seconds", "_bytes", "_ratio", "_count", "_sum", "_bucket"];
        let ending = suffixes.iter().find(|suffix| name.ends_with(**suffix));
        assert_eq!(ending, None, "the unit and the kind of `{name}` are added by themselves");
        assert!(metric.kind != Kind::Histogram || unit.is_some() || name.ends_with("_appends"), "`{name}` has no unit");
        assert!(labels.iter().all(|label| label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        assert!(help.ends_with('.') && !help.contains('\n'), "what `{name}` means is one line, and a sentence");
    }
    let names: BTreeSet<_> = all().iter().map(Metric::exposed_name).collect();
    assert_eq!(names.len(), all().len(), "two metrics have one name");
    for wrong in ["annalist_append", "annalist_journal_x", "other_append_x", "annalist_append_X", "annalist_append__x"]
    {
        assert!(!is_name(wrong), "{wrong}");
    }
}

#[test]
fn every_metric_is_documented() {
    let head = "# Metrics\n\n\
        <!-- Written by a test from the declarations: `ANNALIST_LOCK=update cargo test`. Edit those, not this. -->\n\n\
        `app.metrics().await.to_text()` is what Prometheus reads; `store.metrics()` is the part of the store alone; a server \
        has its own beside them, at `/metrics`. Counters count from the start of the process. A histogram has `_bucket`, `_sum` and `_count` behind its name. Labels have few \
        values: names that are declared in code, never ids.\n\n";
    let of_store = annalist_metrics::table(annalist_store::METRICS);
    let of_framework = annalist_metrics::table(METRICS);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    // What follows is the server's, whose test sees to it.
    let found = std::fs::read_to_string(&path).unwrap();
    let (_, of_server) = found.split_once("\n## The server\n").expect("the metrics of the server come last");
    let text =
        format!("{head}## The framework\n\n{of_framework}\n## The store\n\n{of_store}\n## The server\n{of_server}");
    check_text(&path, &text, Mode::from_env()).unwrap();
}

#[test]
fn every_kind_of_failure_is_counted_as_such() {
    let detail = String::new();
    let key = annalist_core::Key::new("scope", "id").unwrap();
    let target = crate::command::Target::Query(annalist_core::Query::all());
    let store = || annalist_core::AppendError::Unavailable { why: String::new() };
    let load = crate::aggregate::LoadError::Store(annalist_core::StoreError::Closed);
    let all = [
        CommandError::Unrecordable("".into()),
        CommandError::KeyReused { key: key.clone() },
        CommandError::Contended { target, attempts: 1 },
        CommandError::Unavailable { why: String::new() },
        CommandError::Unknown { key: None, why: String::new() },
        CommandError::DeadlineExceeded,
        CommandError::Refused { by: "", why: "".into() },
        CommandError::Load(load),
        CommandError::Reply { key, detail },
        CommandError::Store(store()),
        CommandError::Closed,
    ];
    assert_eq!(all.map(|error| error.kind()), OUTCOMES[3..]);
}
