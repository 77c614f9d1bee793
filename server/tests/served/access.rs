//! Who may do what.

use std::{fs, path::Path, process::Command};

use crate::support::Process;
use annalist_client::{ApiKey, RemoteOptions, RemoteStore};
use annalist_core::{
    Append, AppendError, EventId, EventStore as _, EventType, Expected, NewEvent, StoreError, StreamId,
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
