//! The real binary on real folders: what it prints, and its exit codes.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use annalist_core::{
    Append, ContentType, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, StreamId, Tag,
};
use annalist_store::{Store, StoreOptions};
use serde_json::Value;
use tempfile::TempDir;

const EVENTS: usize = 300;

fn annalist(arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
    let (name, rest) = arguments.split_first().expect("a subcommand");
    command.arg(name).arg(dir).args(rest).output().expect("the program runs")
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("it prints UTF-8")
}

fn lines(output: &Output) -> Vec<Value> {
    printed(output).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

/// 300 events in 4 streams of 2 categories; every tenth has a binary payload.
async fn filled() -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("data");
    let mut options = StoreOptions::default();
    options.index_chunk_events = 128;
    let store = Store::open_with(&dir, options).expect("the store opens");
    for number in 0..EVENTS {
        let category = if number % 2 == 0 { "even" } else { "odd" };
        let stream = StreamId::of(category, number % 4).expect("a stream");
        let payload = format!(r#"{{"z":{number},"a":"\u0007"}}"#);
        let event_type = EventType::new("counted").expect("a type");
        let mut event = NewEvent::new(EventId::generate(), event_type, payload).with_tags([Tag::new(format!(
            "last:{}",
            number % 10
        ))
        .expect("a tag")]);
        if number % 10 == 9 {
            event.payload = vec![0xff, 0, 1].into();
            event = event.with_content_type(ContentType::BYTES);
        }
        let key = Key::new("test", format!("{number}-{}", "x".repeat(100))).expect("a key");
        let append =
            Append::new().events(stream, Expected::Any, [event]).keyed(key, Fingerprint::new([1; 16]), Vec::new());
        store.append(append).await.expect("it is recorded");
    }
    (folder, dir, store)
}

#[tokio::test]
async fn a_store_is_read_as_tables_and_as_json() {
    let (_folder, dir, store) = filled().await;
    store.close().await.expect("it closes");

    let stats = lines(&annalist(&["stats", "--json"], &dir));
    assert_eq!((&stats[0]["events"], &stats[0]["streams"], &stats[0]["epoch"]), (&300.into(), &4.into(), &1.into()));
    assert!(printed(&annalist(&["stats"], &dir)).contains("bytes of the log on disk"));

    let streams = lines(&annalist(&["streams", "--json", "--category", "odd"], &dir));
    assert_eq!(
        streams.iter().map(|stream| stream["stream"].as_str()).collect::<Vec<_>>(),
        [Some("odd-1"), Some("odd-3")]
    );
    assert_eq!(streams[0]["version"], 75);
    assert!(printed(&annalist(&["streams"], &dir)).contains("even-0"));

    let all = lines(&annalist(&["read", "--json"], &dir));
    let positions = all.iter().map(|event| event["position"].as_str().and_then(|text| text.parse().ok()));
    assert_eq!(positions.collect::<Vec<_>>(), (1..=EVENTS).map(Some).collect::<Vec<_>>());
    assert_eq!((&all[0]["data"]["z"], &all[9]["data_base64"]), (&0.into(), &"/wAB".into()));

    let some = lines(&annalist(&["read", "--json", "--stream", "odd-1", "--after", "70"], &dir));
    assert_eq!(some.len(), 5);
    assert_eq!((&some[0]["streamversion"], &some[0]["subject"]), (&"71".into(), &"odd-1".into()));
    let tagged = lines(&annalist(
        &["read", "--json", "--tag", "last:3", "--type", "counted", "--backward", "--limit", "2"],
        &dir,
    ));
    assert_eq!(tagged.iter().map(|event| &event["position"]).collect::<Vec<_>>(), ["294", "284"]);

    let text = printed(&annalist(&["read", "--limit", "10"], &dir));
    assert!(text.contains("3 bytes of application/octet-stream") && !text.contains('\u{7}'), "{text}");
    let tail = printed(&annalist(&["tail", "-n", "2"], &dir));
    assert_eq!(tail.lines().map(|line| line.split_whitespace().next()).collect::<Vec<_>>(), [Some("299"), Some("300")]);
}

/// Ends with this.
struct Following(std::process::Child);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it ends");
    }
}

#[tokio::test]
async fn what_only_reads_works_beside_the_process_that_has_the_store_open() {
    let (folder, dir, store) = filled().await;
    let stats = annalist(&["stats", "--json"], &dir);
    let said = String::from_utf8_lossy(&stats.stderr).into_owned();
    assert_eq!(said, format!("process {} has the store open: reading beside it\n", std::process::id()));
    assert_eq!((&lines(&stats)[0]["events"], &lines(&stats)[0]["streams"]), (&300.into(), &4.into()));
    assert_eq!(lines(&annalist(&["streams", "--json"], &dir)).len(), 4);
    let read = lines(&annalist(&["read", "--json", "--stream", "odd-1", "--after", "70"], &dir));
    assert_eq!(read.len(), 5);
    let tagged = lines(&annalist(&["read", "--json", "--tag", "last:3", "--backward", "--limit", "2"], &dir));
    assert_eq!(tagged.iter().map(|event| &event["position"]).collect::<Vec<_>>(), ["294", "284"]);
    assert!(printed(&annalist(&["verify"], &dir)).starts_with("sound: positions 1 to 300"));
    let file = folder.path().join("events.jsonl");
    printed(&annalist(&["export", file.to_str().expect("it is text")], &dir));
    assert_eq!(fs::read_to_string(&file).expect("it is there").lines().count(), EVENTS);
    for writes in [&["rebuild-index"][..], &["append", "even-0", "counted"], &["backup", "backups"]] {
        assert_eq!(code(&annalist(writes, &dir)), 4, "{writes:?}");
    }

    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
    command.args(["tail", "--json", "--follow", "-n", "1", "--stream", "even-0"]).arg(&dir).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut said = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
    let _following = Following(child);
    let mut next = || {
        let line = said.next().and_then(Result::ok).expect("a line");
        serde_json::from_str::<Value>(&line).expect("a line of JSON")["streamversion"].clone()
    };
    let again = || {
        let event = NewEvent::new(EventId::generate(), EventType::new("counted").expect("a type"), "{}");
        Append::new().events(StreamId::of("even", 0).expect("a stream"), Expected::Any, [event])
    };
    assert_eq!(next(), "75");
    store.append(again()).await.expect("it is recorded");
    assert_eq!(next(), "76");
    // A service that is started again is followed like the one before.
    store.close().await.expect("it closes");
    let store = Store::open(&dir).expect("nobody holds it");
    store.append(again()).await.expect("it is recorded");
    assert_eq!(next(), "77");
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn exit_codes_say_what_is_in_the_way() {
    let (folder, dir, store) = filled().await;
    let busy = annalist(&["append", "even-0", "counted"], &dir);
    assert_eq!(code(&busy), 4);
    let said = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
    store.close().await.expect("it closes");

    let nowhere = folder.path().join("mistyped");
    for command in ["stats", "verify", "rebuild-index"] {
        assert_eq!(code(&annalist(&[command], &nowhere)), 3, "{command}");
    }
    assert!(!nowhere.exists(), "looking for a store must not make one");
    assert_eq!(code(&annalist(&["read", "--stream", "-"], &dir)), 2);
    assert_eq!(code(&annalist(&["read", "--tag", ""], &dir)), 2);
    fs::write(dir.join("STORE"), "nonsense").expect("it can be written");
    assert_eq!(code(&annalist(&["stats"], &dir)), 3);
}

#[tokio::test]
async fn damaged_files_are_found_with_their_position_and_the_rest_is_read() {
    let (_folder, dir, store) = filled().await;
    store.close().await.expect("it closes");
    assert!(printed(&annalist(&["verify"], &dir)).starts_with("sound: positions 1 to 300"));

    let log = table_with(&dir.join("log"), b"odd-3");
    let mut bytes = fs::read(&log).expect("it can be read");
    let at = bytes.windows(5).position(|window| window == b"odd-3").expect("a name");
    bytes[at] ^= 1;
    fs::write(&log, &bytes).expect("it can be written");
    let verified = annalist(&["verify", "--json"], &dir);
    assert_eq!(code(&verified), 5, "{verified:?}");
    let report: Value = serde_json::from_slice(&verified.stdout).expect("a report");
    assert_eq!(
        (&report["sound"], &report["through"], &report["findings_count"]),
        (&false.into(), &300.into(), &1.into())
    );
    assert_eq!((&report["findings"][0]["part"], &report["findings"][0]["position"]), (&"log".into(), &4.into()));
    let read = annalist(&["read", "--json"], &dir);
    assert_eq!((code(&read), read.stdout.split(|byte| *byte == b'\n').count()), (5, 4), "three events and their ends");
    assert_eq!(lines(&annalist(&["read", "--json", "--after", "290"], &dir)).len(), 10);
}

#[tokio::test]
async fn a_damaged_index_is_found_and_rebuilt() {
    let (_folder, dir, store) = filled().await;
    store.close().await.expect("it closes");
    // The first rows of every table are those of the categories.
    for table in tables(&dir.join("index")) {
        let mut bytes = fs::read(&table).expect("it can be read");
        bytes[20] ^= 1;
        fs::write(&table, &bytes).expect("it can be written");
    }
    let verified = annalist(&["verify"], &dir);
    assert_eq!(code(&verified), 5, "{verified:?}");
    assert!(String::from_utf8_lossy(&verified.stdout).contains("annalist rebuild-index"), "{verified:?}");
    assert_eq!(lines(&annalist(&["rebuild-index", "--json"], &dir))[0]["indexed"], 300);
    assert!(printed(&annalist(&["verify"], &dir)).starts_with("sound: positions 1 to 300"));
}

#[tokio::test]
async fn a_store_is_backed_up_listed_and_restored() {
    let (folder, dir, store) = filled().await;
    let (backups, target) = (folder.path().join("backups"), folder.path().join("target"));
    let path = |path: &Path| path.to_str().expect("it is text").to_owned();
    let (to_backups, to_target) = (path(&backups), path(&target));
    assert_eq!(code(&annalist(&["backup", &to_backups], &dir)), 4, "the store is in use");
    assert_eq!(code(&annalist(&["restore", &to_target], &backups)), 3, "there is no backup");
    store.close().await.expect("it closes");

    let made = lines(&annalist(&["backup", "--json", &to_backups], &dir));
    assert_eq!((&made[0]["number"], &made[0]["position"], &made[0]["epoch"]), (&1.into(), &300.into(), &1.into()));
    let said = printed(&annalist(&["backup", &to_backups, "--keep", "2"], &dir));
    assert!(said.starts_with("backup 2 holds positions 1 to 300: "), "{said}");
    let listed = lines(&annalist(&["backups", "--json", "--verify"], &backups));
    assert_eq!(listed.iter().map(|listed| &listed["backup"]["number"]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(listed[1]["damaged"], Value::Array(Vec::new()));
    assert!(printed(&annalist(&["backups", "--verify"], &backups)).contains("sound"));

    assert_eq!(code(&annalist(&["restore", &to_target, "--to", "301"], &backups)), 2);
    assert_eq!(code(&annalist(&["restore", &to_target, "--number", "7"], &backups)), 3);
    let restored = lines(&annalist(&["restore", "--json", &to_target, "--to", "200"], &backups));
    assert_eq!((&restored[0]["position"], &restored[0]["backup_position"]), (&200.into(), &300.into()));
    assert!(printed(&annalist(&["verify"], &target)).starts_with("sound: positions 1 to 200"));
    assert_eq!(code(&annalist(&["restore", &to_target], &backups)), 2, "it is not empty");

    let table = tables(&backups.join("files")).pop().expect("a table");
    let mut bytes = fs::read(&table).expect("it can be read");
    bytes[20] ^= 1;
    fs::write(&table, &bytes).expect("it can be written");
    let damaged = annalist(&["backups", "--verify"], &backups);
    assert_eq!(code(&damaged), 5);
    assert!(String::from_utf8_lossy(&damaged.stdout).contains(&path(&table)), "{damaged:?}");
    let listed = annalist(&["backups", "--json", "--verify"], &backups);
    let last = String::from_utf8_lossy(&listed.stdout).lines().last().map(parsed).expect("a line for each backup");
    assert_eq!(last["damaged"][0]["path"].as_str(), Some(path(&table).as_str()), "{last}");
    let other = path(&folder.path().join("other"));
    let refused = annalist(&["restore", &other], &backups);
    assert_eq!(code(&refused), 5);
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&path(&table)), "{refused:?}");
    assert_eq!(code(&annalist(&["stats"], Path::new(&other))), 3, "half a restore is no store");
}

/// The table of a database whose bytes hold this text.
fn table_with(dir: &Path, text: &[u8]) -> PathBuf {
    let holds =
        |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text));
    tables(dir).into_iter().find(holds).expect("a table that holds it")
}

fn tables(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).expect("it can be listed").filter_map(Result::ok).map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "sst")).collect()
}

// The member says that it leaves while this waits for other processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_listed_and_what_is_parked_is_decided_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path()).stdout(Stdio::piped());
    let mut server = command.spawn().expect("the program runs");
    let mut line = String::new();
    let mut said = BufReader::new(server.stdout.take().expect("its output is piped"));
    said.read_line(&mut line).expect("it prints UTF-8");
    let address = line.strip_prefix("listening on ").and_then(|line| line.split(',').next()).expect("an address");
    let store = annalist_client::RemoteStore::connect(address).expect("the address of a server");
    let event = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a valid type"), "{}");
    let append = Append::new().events(StreamId::new("order-1").expect("a valid name"), Expected::Any, [event]);
    store.append(append).await.expect("it is recorded");
    let mut options = annalist_client::GroupOptions::default();
    options.attempts_max = 1;
    let mut member = store.group("shipping", annalist_core::Query::category("order"), &options);
    member.next().await.expect("an event").nack(std::time::Duration::ZERO, "no such street").await;
    while store.group_status("shipping").await.expect("it can be told").0.parked == 0 {
        tokio::task::yield_now().await;
    }
    let groups = |order: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
        command.args(["--json", "groups", order, address]).args(more).output().expect("the program runs")
    };
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let listed = parsed(&text(&groups("list", &[])));
    assert_eq!((&listed["group"], &listed["parked"], &listed["members"]), (&"shipping".into(), &1.into(), &1.into()));
    let parked = parsed(&text(&groups("parked", &["shipping"])));
    assert_eq!((&parked["position"], &parked["reason"]), (&1.into(), &"no such street".into()));
    assert_eq!(code(&groups("skip", &["shipping", "7"])), 1, "it is not parked");
    assert_eq!(code(&groups("skip", &["shipping"])), 2, "which one must be said");
    assert_eq!(text(&groups("skip", &["shipping", "1"])), r#"{"skipped":1}"#);
    assert_eq!(parsed(&text(&groups("show", &["shipping"])))["parked"], 0);
    assert_eq!(code(&groups("show", &["billing"])), 2, "there is no such group");
    assert_eq!(code(&groups("remove", &["shipping"])), 2, "it has a member");
    drop(member);
    while code(&groups("remove", &["shipping"])) != 0 {}
    assert_eq!(text(&groups("list", &[])), "");
    let told = Command::new("kill").arg(server.id().to_string()).status().expect("it can be told to end");
    assert!(told.success() && server.wait().expect("it ends").success());
}

#[test]
fn config_check_says_what_is_in_force_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("annalist.toml"), "data = \"here\"\n[store]\npage_bytes = 4096\n").expect("written");
    let check = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
        command.args(["config", "check"]).args(more).current_dir(folder.path()).env("ANNALIST_DATA", "there");
        command.output().expect("the program runs")
    };
    let output = check(&["--json", "--listen", "127.0.0.1:9"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{output:?}");
    for line in [
        r#"{"setting":"listen","value":"\"127.0.0.1:9\"","from":"--listen"}"#,
        r#"{"setting":"data","value":"\"there\"","from":"ANNALIST_DATA"}"#,
        r#"{"setting":"store.page_bytes","value":"4096","from":"annalist.toml"}"#,
        r#"{"setting":"keys","value":null,"from":"default"}"#,
    ] {
        let (line, text) = (parsed(line), text.lines().map(parsed).collect::<Vec<_>>());
        assert!(text.contains(&line), "{line} is not in {text:?}");
    }
    let exposed = check(&["--listen", "0.0.0.0:9"]);
    assert_eq!(code(&exposed), 2, "it would not start");
    assert!(String::from_utf8_lossy(&exposed.stderr).contains("--without-keys"), "{exposed:?}");
    fs::write(folder.path().join("annalist.toml"), "[store]\npage_byte = 4096\n").expect("written");
    let mistyped = check(&[]);
    assert_eq!(code(&mistyped), 2, "a setting is not known");
    assert!(String::from_utf8_lossy(&mistyped.stderr).contains("did you mean `store.page_bytes`?"), "{mistyped:?}");
    assert!(!folder.path().join("there").exists(), "nothing is made");
}

fn parsed(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("a line of JSON")
}

#[tokio::test]
async fn serve_listens_ends_when_it_is_told_and_holds_the_store() {
    let (folder, dir, store) = filled().await;
    store.close().await.expect("it closes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&dir).stdout(Stdio::piped());
    let mut server = command.spawn().expect("the program runs");
    let mut line = String::new();
    let mut said = BufReader::new(server.stdout.take().expect("its output is piped"));
    said.read_line(&mut line).expect("it prints UTF-8");
    assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
    let mut again = Command::new(env!("CARGO_BIN_EXE_annalist"));
    let again =
        again.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&dir).output().expect("the program runs");
    assert_eq!(code(&again), 4, "the store is in use");
    let told = Command::new("kill").arg(server.id().to_string()).status().expect("it can be told to end");
    assert!(told.success() && server.wait().expect("it ends").success());
    drop(folder);
}
