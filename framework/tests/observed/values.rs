//! Values move when things happen.

use std::time::Duration;

use annalist::{
    App, Metrics, SnapshotPolicy, Store,
    outbox::{MemoryPublisher, Outbox},
};

use crate::bank::{Account, Balances, Deposit, Thanks, public};

/// How long a view may take to see what is recorded.
const PATIENCE: Duration = Duration::from_secs(30);

fn number(metrics: &Metrics, name: &str, labels: &[&str]) -> f64 {
    let found = metrics.number(name, labels);
    found.unwrap_or_else(|| panic!("{name} {labels:?} is missing in\n{}", metrics.to_text()))
}

#[tokio::test]
async fn what_happens_is_counted_in_every_part() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::embedded(dir.path()).unwrap();
    let app = App::open(store).projection(Balances).saga::<Thanks>();
    let app = app.outbox(Outbox::new(MemoryPublisher::new()).map_events(public)).start().await.unwrap();
    let deposit = |account: &str, cents| {
        let deposit = Deposit { account: account.to_owned(), cents };
        app.on::<Account>(account.to_owned()).execute(deposit)
    };
    deposit("alice", 5).key("first").await.unwrap();
    app.saga::<Thanks>().unwrap().idle().await.unwrap();
    assert!(deposit("alice", 5).key("first").await.unwrap().repeated);
    deposit("alice", 0).await.unwrap_err();
    deposit("alice", 7).await.unwrap();
    app.saga::<Thanks>().unwrap().idle().await.unwrap();
    let head = app.head().await.unwrap();
    app.projections().all_reached(head, PATIENCE).await.unwrap();
    let destination = app.relays()[0].status().destination;
    app.relays()[0].drained().await.unwrap();

    let metrics = app.metrics().await;
    let of = |name: &str, labels: &[&str]| number(&metrics, name, labels);
    let deposits = |outcome| of("annalist_command_executed", &["deposit", outcome]);
    // Two of the test's, one of the saga's.
    assert_eq!((deposits("recorded"), deposits("repeated"), deposits("rejected")), (3.0, 1.0, 1.0));
    assert_eq!(of("annalist_command_duration", &["deposit"]), 5.0);
    assert_eq!(of("annalist_command_in_flight", &[]), 0.0);
    assert!(of("annalist_aggregate_cache_lookups", &["hit"]) >= 1.0, "the second deposit finds the account hot");
    assert_eq!(of("annalist_aggregate_cached", &[]), 2.0);

    let events = of("annalist_store_events", &[]);
    assert_eq!(events, of("annalist_append_events", &[]), "all of them were recorded by this process");
    assert!(of("annalist_append_duration", &[]) >= 3.0 && of("annalist_page_commit_duration", &[]) >= 3.0);
    assert!(of("annalist_append", &[]) > 0.0 && of("annalist_store_disk_used", &["log"]) > 0.0);
    assert!(of("annalist_store_disk_free", &[]) > 0.0);
    assert_eq!(of("annalist_store_writes_stopped", &["log"]), 0.0);
    assert!(of("annalist_subscription_open", &[]) >= 3.0, "the projection, the saga and the relay follow the log");
    assert_eq!(of("annalist_index_lag_events", &[]), events, "so few are in the tail");

    assert_eq!(of("annalist_projection_events", &["balances", "following"]), events);
    assert_eq!(of("annalist_projection_lag_events", &["balances"]), 0.0);
    assert_eq!(of("annalist_projection_lag", &["balances"]), 0.0);
    let saga = |what, of_what| of(&format!("annalist_saga_{what}"), &["thanks", of_what]);
    assert_eq!((saga("inputs", "event"), saga("inputs", "accepted"), saga("inputs", "rejected")), (1.0, 1.0, 0.0));
    assert_eq!((saga("commands", "accepted"), saga("instances", "completed")), (1.0, 1.0));
    assert_eq!(of("annalist_saga_passed_events", &["thanks"]), 1.0, "the instance was done");
    assert_eq!(of("annalist_outbox_published", &[&destination]), 3.0);
    assert!(of("annalist_outbox_publish_duration", &[&destination]) >= 1.0);
    assert_eq!(of("annalist_outbox_lag_events", &[&destination]), 0.0);
    assert_eq!(of("annalist_app_health", &["store", "", "healthy"]), 1.0);

    app.projections().rebuild::<Balances>().await.unwrap();
    let metrics = app.metrics().await;
    assert!(number(&metrics, "annalist_projection_events", &["balances", "rebuild"]) >= events);
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn snapshots_are_counted_by_what_becomes_of_them() {
    let store = Store::memory();
    let open = || App::open(store.clone());
    let snapshots = |app: &App| {
        let app = app.clone();
        async move {
            let metrics = app.metrics().await;
            ["written", "used", "void"].map(|outcome| number(&metrics, "annalist_aggregate_snapshots", &[outcome]))
        }
    };
    let deposit = || Deposit { account: "alice".to_owned(), cents: 1 };
    let alice = || "alice".to_owned();

    let app = open().snapshots::<Account>(SnapshotPolicy::every(2)).start().await.unwrap();
    for _ in 0..3 {
        app.on::<Account>(alice()).execute(deposit()).await.unwrap();
    }
    assert_eq!(snapshots(&app).await, [1.0, 0.0, 0.0]);

    let app = open().snapshots::<Account>(SnapshotPolicy::every(100)).start().await.unwrap();
    app.on::<Account>(alice()).execute(deposit()).await.unwrap();
    assert_eq!(snapshots(&app).await, [0.0, 1.0, 0.0]);

    let app = open().snapshots::<Account>(SnapshotPolicy::every(100).version(2)).start().await.unwrap();
    app.on::<Account>(alice()).execute(deposit()).await.unwrap();
    assert_eq!(snapshots(&app).await, [0.0, 0.0, 1.0]);
}

#[tokio::test]
async fn two_apps_in_one_process_do_not_disturb_each_other() {
    let (one, other) = (App::open(Store::memory()), App::open(Store::memory()));
    let (one, other) = (one.start().await.unwrap(), other.start().await.unwrap());
    let deposit = Deposit { account: "alice".to_owned(), cents: 1 };
    one.on::<Account>("alice".to_owned()).execute(deposit).await.unwrap();
    let recorded = ("annalist_command_executed", ["deposit", "recorded"]);
    assert_eq!(one.metrics().await.number(recorded.0, &recorded.1), Some(1.0));
    assert_eq!(other.metrics().await.number(recorded.0, &recorded.1), None);
}

#[tokio::test]
async fn the_text_can_be_read_line_by_line() {
    let app = App::open(Store::memory()).projection(Balances).saga::<Thanks>().start().await.unwrap();
    let deposit = Deposit { account: "alice".to_owned(), cents: 1 };
    app.on::<Account>("alice".to_owned()).execute(deposit).await.unwrap();
    let text = app.metrics().await.to_text();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.pop(), Some("# EOF"));
    let (mut family, mut samples) = ("", 0);
    for line in lines {
        if let Some(rest) = line.strip_prefix("# ") {
            let [keyword, name, said] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert!(["HELP", "TYPE", "UNIT"].contains(&keyword) && !said.is_empty(), "{line}");
            family = name;
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        assert!(name.starts_with(family), "`{line}` stands below {family}");
        assert!(labels.ends_with('}'), "{line}");
        samples += 1;
    }
    assert!(samples > 50, "{text}");
}
