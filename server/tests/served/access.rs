//! Who may do what.

use std::{fs, path::Path, process::Command, time::Duration};

use crate::support::{Process, curl};
use annalist_client::{ApiKey, GroupOptions, RemoteOptions, RemoteStore};
use annalist_core::{
    Append, AppendError, Cursor, EventId, EventStore as _, EventType, Expected, NewEvent, Query, StoreError, StreamId,
};

/// Makes a key by the command, and adds its line to a file.
fn key(role: &str, file: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_annalist-server")).args(["new-key", role, "somebody"]).output();
    let output = output.expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let (key, line) = (text(output.stdout).trim().to_owned(), text(output.stderr));
    assert!(key.len() > 64 && !line.contains(&key), "the file does not hold the key");
    let lines = fs::read_to_string(file).unwrap_or_default();
    fs::write(file, lines + &line).expect("the file can be written");
    key
}

/// Makes a key that is confined to categories.
fn confined_key(role: &str, file: &Path, categories: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist-server"));
    let output = command.args(["new-key", role, "shop"]).args(categories).output().expect("the command runs");
    let lines = fs::read_to_string(file).unwrap_or_default();
    fs::write(file, lines + &String::from_utf8_lossy(&output.stderr)).expect("the file can be written");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn status(address: &str, path: &str, more: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &format!("{address}{path}")]).args(more);
    String::from_utf8(curl.output().expect("curl runs").stdout).expect("a status")
}

fn append() -> Append {
    let event = NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}");
    Append::new().events(StreamId::new("a-1").expect("a valid name"), Expected::Any, [event])
}

#[tokio::test]
async fn a_key_is_good_for_its_role() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keys");
    let (reader, writer) = (key("read", &file), key("append", &file));
    let mut command = Process::command(&dir.path().join("data"));
    command.arg("--keys").arg(&file);
    let server = Process::run(command);
    let store = |key: Option<&str>| {
        let mut options = RemoteOptions::default();
        options.key = key.map(ApiKey::new);
        assert!(key.is_none_or(|key| !format!("{options:?}").contains(key)), "a key is not shown");
        RemoteStore::connect_with(&server.address, options).expect("the address of a server")
    };
    store(Some(&writer)).append(append()).await.expect("who may append may");
    store(Some(&writer)).head().await.expect("and read");
    store(Some(&reader)).head().await.expect("who may read may");
    match store(Some(&reader)).append(append()).await {
        Err(AppendError::Unavailable { why }) => assert!(why.contains("this needs append"), "{why}"),
        other => panic!("{other:?}"),
    }
    for unknown in [None, Some("annalist_00"), Some("a\nb")] {
        match store(unknown).head().await {
            Err(StoreError::Unavailable { why }) => assert!(why.contains("no key"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let at = |path, key: Option<&str>| {
        let header = key.map(|key| format!("Authorization: Bearer {key}")).unwrap_or_default();
        status(&server.address, path, &["-H", &header])
    };
    assert_eq!((at("/v1/head", None), at("/v1/head", Some(&reader))), ("401".to_owned(), "200".to_owned()));
    assert_eq!((at("/metrics", None), at("/metrics", Some(&reader))), ("401".to_owned(), "200".to_owned()));
    let header = format!("Authorization: Bearer {reader}");
    assert_eq!(status(&server.address, "/v1/append", &["-H", &header, "-d", "{}"]), "403");
    assert_eq!(at("/health/ready", None), "200", "probes hold no keys");
}

#[tokio::test]
async fn a_key_is_good_for_its_categories_and_what_is_refused_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, audit) = (dir.path().join("keys"), dir.path().join("audit"));
    let shop = confined_key("append", &file, &["a=append", "b=read"]);
    let mut command = Process::command(&dir.path().join("data"));
    command.arg("--keys").arg(&file).env("ANNALIST_AUDIT", &audit);
    let server = Process::run(command);
    let mut options = RemoteOptions::default();
    options.key = Some(ApiKey::new(shop.as_str()));
    let store = RemoteStore::connect_with(&server.address, options).expect("the address of a server");
    store.append(append()).await.expect("it may append there");
    let event = NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}");
    let elsewhere = Append::new().events(StreamId::new("b-1").expect("a valid name"), Expected::Any, [event]);
    match store.append(elsewhere).await {
        Err(AppendError::Unavailable { why }) => assert!(why.contains("may read in `b`"), "{why}"),
        other => panic!("{other:?}"),
    }
    store.subscribe(Query::category("b"), Cursor::START).await.expect("it may follow");
    match store.subscribe(Query::all(), Cursor::START).await.map(drop) {
        Err(StoreError::Unavailable { why }) => assert!(why.contains("whole log"), "{why}"),
        other => panic!("{other:?}"),
    }
    let at = |path: &str, more: &[&str]| {
        let header = format!("Authorization: Bearer {shop}");
        status(&server.address, path, &[&["-H", header.as_str()], more].concat())
    };
    assert_eq!(at("/v1/events?category=b", &[]), "200");
    assert_eq!(at("/v1/events?category=c", &[]), "403");
    assert_eq!(at("/v1/events?type=greeted", &[]), "403");
    assert_eq!(at("/v1/subscribe", &[]), "403");
    assert_eq!(
        at("/v1/append", &["-d", r#"{"entries": [{"stream": "c-1", "events": [{"type": "x", "data": {}}]}]}"#]),
        "403"
    );
    assert_eq!(status(&server.address, "/v1/head", &[]), "401");
    let text = fs::read_to_string(&audit).expect("it is written");
    assert!(!text.contains(&shop), "no key is in it");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let told = |line: serde_json::Value| {
        let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        assert!(field("from").starts_with("127.0.0.1:") && field("at").ends_with('Z'), "{line}");
        [field("who"), field("what"), field("result")].join(" ")
    };
    assert_eq!(
        lines.map(told).collect::<Vec<_>>(),
        [
            "shop POST /annalist.v1.EventStore/Pipeline denied",
            "shop POST /annalist.v1.EventStore/Subscribe denied",
            "shop GET /v1/events denied",
            "shop GET /v1/events denied",
            "shop GET /v1/subscribe denied",
            "shop POST /v1/append denied",
            " GET /v1/head unknown",
        ]
    );
}

#[tokio::test]
async fn metrics_name_the_groups_that_the_caller_may_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keys");
    let (all, shop) = (key("admin", &file), confined_key("read", &file, &["a=read"]));
    let mut command = Process::command(&dir.path().join("data"));
    command.arg("--keys").arg(&file);
    let server = Process::run(command);
    let mut options = RemoteOptions::default();
    options.key = Some(ApiKey::new(all.as_str()));
    let store = RemoteStore::connect_with(&server.address, options).expect("the address of a server");
    store.append(append()).await.expect("it is recorded");
    for (name, query) in [("of-a", Query::category("a")), ("of-all", Query::all())] {
        let mut member = store.group(name, query, &GroupOptions::default());
        member.next().await.expect("there is an event").ack().await;
    }
    let told = |key: &str| {
        let header = format!("Authorization: Bearer {key}");
        let (_, metrics) = curl(&["-H", &header, &format!("{}/metrics", server.address)]);
        ["of-a", "of-all"].map(|name| metrics.contains(&format!("annalist_group_lag_events{{group=\"{name}\"}}")))
    };
    assert_eq!((told(&all), told(&shop)), ([true, true], [true, false]));
}

#[tokio::test]
async fn bodies_have_a_bound_in_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = Process::command(dir.path());
    command.env("ANNALIST_REQUEST_MEMORY_BYTES", "100000");
    let server = Process::run(command);
    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    let event = |bytes| {
        let payload = vec![b' '; bytes];
        NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), payload)
    };
    let append = |bytes| Append::new().events(StreamId::new("a-1").expect("a name"), Expected::Any, [event(bytes)]);
    match store.append(append(200_000)).await {
        Err(AppendError::Unavailable { why }) => assert!(why.contains("requests in flight take all memory"), "{why}"),
        other => panic!("{other:?}"),
    }
    let body = dir.path().join("body");
    fs::write(&body, " ".repeat(200_000)).expect("written");
    let body = format!("@{}", body.display());
    assert_eq!(status(&server.address, "/v1/append", &["--data-binary", &body]), "503");
    for _ in 0..10 {
        store.append(append(50_000)).await.expect("what is given back can be taken again");
    }
}

#[tokio::test]
async fn answers_have_a_bound_in_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = Process::command(dir.path());
    command.env("ANNALIST_ANSWERS_MAX", "2");
    let server = Process::run(command);
    let mut options = RemoteOptions::default();
    options.call_timeout = Duration::from_millis(100);
    let store = RemoteStore::connect_with(&server.address, options).expect("the address of a server");
    store.append(append()).await.expect("it is recorded");
    let first = store.subscribe(Query::all(), Cursor::START).await.expect("there is room");
    let second = store.subscribe(Query::all(), Cursor::START).await.expect("there is room");
    for _ in 0..3 {
        match store.subscribe(Query::all(), Cursor::START).await.map(drop) {
            Err(StoreError::Unavailable { why }) => assert!(why.contains("answers_max"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(status(&server.address, "/v1/events", &[]), "503");
    }
    store.append(append()).await.expect("appends are no answers of this kind");
    drop((first, second));
    while status(&server.address, "/v1/events", &[]) != "200" {}
}

#[test]
fn nobody_is_let_in_from_outside_by_mistake() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist-server"));
        let output = command.arg("--data").arg(dir.path().join("data")).args(more).output().expect("the command runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (started, said) = run(&["--listen", "0.0.0.0:0"]);
    assert!(!started && said.contains("--without-keys"), "{said}");
    let missing = dir.path().join("missing");
    let (started, said) = run(&["--keys", missing.to_str().expect("text")]);
    assert!(!started && said.contains("missing"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing was made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist-server"));
    command.args(["--listen", "0.0.0.0:0", "--without-keys", "--data"]).arg(dir.path().join("data"));
    let server = Process::run(command);
    let port = server.address.rsplit(':').next().expect("a port");
    assert_eq!(status(&format!("http://127.0.0.1:{port}"), "/v1/head", &[]), "200");
}
