//! The alerts and the dashboard of `deploy/monitoring`: the rules do what they say, and everything that they look at is really
//! exported by the services.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[expect(unreachable_pub, dead_code, reason = "a module that other tests use more of")]
mod shop;

#[expect(unreachable_pub, dead_code, reason = "a module that other tests use more of")]
mod deployed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use deployed::{deploy, promtool, root};
use orders::{domain::Cents, fleet::ALL};
use serde_json::Value;
use shop::{Shop, order};

/// What every target has, from Prometheus itself.
const OF_THE_TARGET: [&str; 3] = ["job", "instance", "le"];

/// Exported once it has counted something, and nothing of the shop is deprecated.
const NOT_YET: &str = "annalist_deprecated_request_total";

#[test]
fn the_alerts_are_raised_for_what_they_are_for_and_for_nothing_else() {
    let dir = deploy("monitoring");
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let checked = Command::new(promtool()).args(arguments).current_dir(&dir).output().unwrap();
        let said = [checked.stdout, checked.stderr].concat();
        assert!(checked.status.success(), "promtool {arguments:?}:\n{}", String::from_utf8_lossy(&said));
    }
    // Each is raised in some test: an alert that none expects could be one that never is.
    let (rules, tests) = (read("alerts.yaml"), read("alerts.test.yaml"));
    let mut expected = BTreeSet::new();
    for test in tests.split("alertname: ").skip(1) {
        let name: String = test.chars().take_while(char::is_ascii_alphanumeric).collect();
        if test.split("alertname: ").next().unwrap().contains("exp_labels") {
            expected.insert(name);
        }
    }
    let alerts: BTreeSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    assert_eq!(alerts, expected.iter().map(String::as_str).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_alerts_and_dashboard_look_at_is_exported() {
    let mut shop = Shop::prepare(Cents(15_000), 8);
    let backups = shop.fleet.dir().join("backups");
    shop.fleet.set_variable("BACKUPS", backups.to_str().unwrap());
    shop.start_all().await;
    shop.deliver(7, 5).await;
    shop.place(&order(7, 3, 1177)).await;
    shop.ended(7).await;
    let mut exported = Exported::default();
    for name in ALL {
        let answer = shop.fleet.client(name).get("/metrics").send().await.unwrap();
        exported.read(std::str::from_utf8(answer.body()).unwrap());
    }
    shop.stop().await;

    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let shown: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(shown.len() > 20, "{shown:?}");
    exported.document(&fs::read_to_string(root().join("docs/metrics.md")).unwrap());
    let rules = read("alerts.yaml");
    let looked_at = rules.lines().filter(|line| line.contains("expr:") || line.trim_start().starts_with("sum by"));
    let divided = rules.lines().filter(|line| line.trim_start().starts_with("/ "));
    let mut wrong = Vec::new();
    for expression in looked_at.chain(divided).map(str::to_owned).chain(shown) {
        for (metric, labels) in selectors(&expression) {
            if metric == NOT_YET {
                continue;
            }
            let Some(known) = exported.0.get(&metric) else {
                wrong.push(format!("nobody exports {metric}: {expression}"));
                continue;
            };
            // One that has no sample yet says nothing of its labels.
            let unknown = |label: &&String| !known.is_empty() && !known.contains(*label);
            wrong.extend(labels.iter().filter(unknown).map(|label| format!("{metric} has no label {label}")));
        }
    }
    assert_eq!(wrong, [] as [String; 0]);

    exported.0.retain(|name, _| !name.starts_with("annalist_group_"));
    // What is exported is documented, and the edge of a service exports what is documented of it.
    let documented = |name: &str| fs::read_to_string(root().join("docs").join(name)).unwrap();
    let (of_app, of_service) = (documented("metrics.md"), documented("service-metrics.md"));
    let names: BTreeSet<_> = exported.0.keys().map(|name| family(name)).collect();
    let is_missing = |name: &&&str| ![&of_app, &of_service].iter().any(|text| text.contains(&format!("| `{name}` |")));
    assert_eq!(names.iter().filter(is_missing).collect::<Vec<_>>(), [] as [&&str; 0], "not documented");
    let told = of_service.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<_> = told.collect();
    assert!(told.contains("annalist_request_total"));
    assert_eq!(told.difference(&names).collect::<Vec<_>>(), [&NOT_YET], "not exported");
}

/// The name that documents have for a sample.
fn family(sample: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|ending| sample.strip_suffix(ending)).unwrap_or(sample)
}

#[test]
fn selectors_are_found() {
    let found = selectors(r#"sum by (job) (rate(annalist_a_total{job=~"$job", state!="x"}[5m])) / annalist_b > 0"#);
    assert_eq!(found, [("annalist_a_total".to_owned(), vec!["state".to_owned()]), ("annalist_b".to_owned(), vec![])]);
    let mut exported = Exported::default();
    exported.read("# TYPE annalist_a counter\nannalist_a_total{x=\"1\",y=\"a b\"} 1\n# TYPE annalist_c histogram\n");
    assert_eq!(exported.0["annalist_a_total"], ["x", "y"].map(str::to_owned).into());
    assert!(exported.0["annalist_c_bucket"].is_empty() && !exported.0.contains_key("annalist_c"));
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy("monitoring").join(name)).unwrap()
}

/// The metrics that an expression looks at, each with the labels that it looks for.
fn selectors(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let ours = ["annalist_", "shop_"].into_iter().flat_map(|front| expression.match_indices(front));
    for (at, _) in ours {
        let (_, rest) = expression.split_at(at);
        let end = rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(rest.len());
        let (metric, behind) = rest.split_at(end);
        let inside = behind.strip_prefix('{').and_then(|inside| inside.split('}').next()).unwrap_or_default();
        let labels = inside.split(", ").filter_map(|part| Some(part.split_once(['=', '!'])?.0.trim().to_owned()));
        let labels = labels.filter(|label| !OF_THE_TARGET.contains(&label.as_str()));
        found.push((metric.to_owned(), labels.collect()));
    }
    found
}

/// What is exported: the names of samples, and the labels that they have.
#[derive(Default)]
struct Exported(BTreeMap<String, BTreeSet<String>>);

impl Exported {
    /// What a server has besides, which is no part of the shop: as it is documented, and a test of the server keeps that true.
    fn document(&mut self, text: &str) {
        let (_, of_server) = text.split_once("\n## The server\n").unwrap();
        let rows = of_server.lines().filter(|line| line.starts_with("| `"));
        self.0.extend(rows.map(|row| {
            let mut cells = row.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`']).to_owned());
            let (name, labels) = (cells.next(), cells.nth(1));
            (name.unwrap(), labels.into_iter().collect())
        }));
    }

    fn read(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                let endings: &[&str] = match kind {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                for ending in endings {
                    self.0.entry(format!("{name}{ending}")).or_default();
                }
            } else if let Some((name, labels)) = line.split_once('{') {
                let labels = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()));
                self.0.get_mut(name).unwrap().extend(labels);
            }
        }
    }
}
