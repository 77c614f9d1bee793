//! The commands asked of a real server: what they do in a folder they do there too.

use std::{
    fs,
    io::{BufReader, Write as _},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// Ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it ends");
    }
}

impl Process {
    fn start(arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().expect("the program runs");
        let said = BufReader::new(child.stdout.take().expect("its output is piped"));
        (Self(child), said)
    }
}

struct Server {
    _process: Process,
    folder: TempDir,
    address: String,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data").display().to_string();
        let backups = folder.path().join("backups").display().to_string();
        let (process, mut said) =
            Process::start(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--backups", &backups]);
        let line = next(&mut said);
        let address = line.strip_prefix("listening on ").and_then(|line| line.split(',').next()).expect("an address");
        Self { _process: process, folder, address: address.to_owned() }
    }

    fn ask(&self, name: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
        command.args(["--json", name, &self.address]).args(more).output().expect("the program runs")
    }

    /// Asks for what must be done, and takes what is printed.
    fn lines(&self, name: &str, more: &[&str]) -> Vec<Value> {
        let output = self.ask(name, more);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).lines().map(parsed).collect()
    }

    fn code(&self, name: &str, more: &[&str]) -> i32 {
        self.ask(name, more).status.code().expect("it exits")
    }
}

fn next(said: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("it prints UTF-8");
    line
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("a line of JSON")
}

#[test]
fn events_are_appended_read_and_followed() {
    let server = Server::start();
    let first = server.lines("append", &["order-1", "placed", r#"{"cents":1250}"#, "--tag", "customer:7"]);
    assert_eq!(
        (&first[0]["position"], &first[0]["streamversion"], &first[0]["repeated"]),
        (&1.into(), &1.into(), &false.into())
    );

    let (_tail, mut followed) = Process::start(&["--json", "tail", &server.address, "--follow", "--tag", "customer:7"]);
    assert_eq!(parsed(&next(&mut followed))["position"], "1");
    let paid = ["order-1", "paid", "{}", "--tag", "customer:7", "--expected", "1", "--once", "payment 9"];
    assert_eq!(server.lines("append", &paid)[0]["position"], 2);
    let come = parsed(&next(&mut followed));
    assert_eq!((&come["type"], &come["streamversion"]), (&"paid".into(), &"2".into()));

    let again = server.lines("append", &paid);
    assert_eq!((&again[0]["position"], &again[0]["repeated"]), (&2.into(), &true.into()));
    let mut other = paid;
    other[2] = r#"{"by":"card"}"#;
    assert_eq!(server.code("append", &other), 7, "another request by the same name");
    assert_eq!(server.code("append", &["order-1", "placed", "{}", "--expected", "none"]), 7, "the stream is there");
    assert_eq!(server.code("append", &["order-1", "placed", "no JSON"]), 2);
    assert_eq!(server.code("append", &["order-1", "placed", "text", "--content-type", "text/plain"]), 0);

    let read = server.lines("read", &["--stream", "order-1", "--after", "1"]);
    assert_eq!(read.iter().map(|event| &event["type"]).collect::<Vec<_>>(), ["paid", "placed"]);
    assert_eq!(server.lines("tail", &["-n", "1"])[0]["data_base64"], "dGV4dA==");
    assert_eq!(server.lines("stats", &[])[0]["head"], 3);

    let file = server.folder.path().join("events.ndjson");
    let exported = server.lines("export", &[file.to_str().expect("it is text")]);
    assert_eq!(exported[0]["events"], 3);
    assert_eq!(fs::read_to_string(&file).expect("it is there").lines().count(), 3);
}

#[test]
fn a_payload_is_read_from_the_standard_input() {
    let server = Server::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
    command.args(["append", &server.address, "order-1", "placed", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    child.stdin.take().expect("its input is piped").write_all(br#"{"cents":1}"#).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "order-1@1 is recorded, at position 1\n");
    assert_eq!(server.lines("read", &[])[0]["data"]["cents"], 1);
}

#[test]
fn appends_are_measured_where_it_leaves_nothing_or_was_said_to() {
    let server = Server::start();
    let few = ["--seconds", "1", "--writers", "3", "--events", "2"];
    assert_eq!(server.code("bench", &few), 2, "events would stay");
    let measured = server.lines("bench", &[&few[..], &["--record"]].concat());
    let head = &server.lines("stats", &[])[0];
    assert_eq!(head["head"].as_u64(), measured[0]["appends"].as_u64().map(|appends| appends * 2));
    assert_eq!(head["streams"], 3);

    let disk = server.folder.path().join("disk");
    let dir = disk.to_str().expect("it is text");
    let bench = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annalist"));
        command.args(["bench", dir]).args(more).output().expect("the program runs")
    };
    assert_eq!(bench(&few).status.code(), Some(2), "there is no such folder");
    fs::create_dir(&disk).expect("it can be made");
    let output = bench(&few);
    assert!(String::from_utf8_lossy(&output.stdout).contains("appends per second"), "{output:?}");
    assert_eq!(fs::read_dir(&disk).expect("it can be listed").count(), 0, "the store is removed");
}

#[test]
fn a_store_is_looked_after_while_it_is_served() {
    let server = Server::start();
    for number in 0..3 {
        server.lines("append", &[&format!("order-{number}"), "placed"]);
    }
    let streams = server.lines("streams", &["--category", "order"]);
    assert_eq!(streams.iter().map(|stream| &stream["stream"]).collect::<Vec<_>>(), ["order-0", "order-1", "order-2"]);
    assert_eq!(server.lines("streams", &["--limit", "2"]).len(), 2);
    let verified = &server.lines("verify", &[])[0];
    assert_eq!((&verified["sound"], &verified["through"]), (&true.into(), &3.into()));

    let backups = server.folder.path().join("backups").display().to_string();
    assert_eq!(server.code("backup", &[&backups]), 2, "the server decides where they go");
    let made = &server.lines("backup", &[])[0];
    assert_eq!((&made["number"], &made["position"]), (&1.into(), &3.into()));
    server.lines("append", &["order-3", "placed"]);
    assert_eq!(server.lines("backup", &["--keep", "1"])[0]["position"], 4);
    assert_eq!(server.lines("backups", &[]).iter().map(|backup| &backup["backup"]["number"]).collect::<Vec<_>>(), [2]);

    let (dir, restored) = (
        server.folder.path().join("restored"),
        Command::new(env!("CARGO_BIN_EXE_annalist"))
            .arg("restore")
            .arg(&backups)
            .arg(server.folder.path().join("restored"))
            .status(),
    );
    assert!(restored.expect("the program runs").success());
    let read = Command::new(env!("CARGO_BIN_EXE_annalist")).args(["--json", "read"]).arg(&dir).output();
    assert_eq!(
        read.expect("the program runs").stdout.split(|byte| *byte == b'\n').count(),
        5,
        "four events and the end"
    );
}

#[test]
fn events_are_imported_with_their_versions_and_times() {
    let (from, to) = (Server::start(), Server::start());
    for number in 0..600 {
        from.lines("append", &[&format!("order-{}", number % 7), "placed", &format!("{{\"number\":{number}}}")]);
    }
    let file = from.folder.path().join("events.ndjson").display().to_string();
    from.lines("export", &[&file]);
    assert_eq!(to.code("import", &[&file, "--create"]), 2, "it has made its store");
    // Interrupted, and run again.
    let text = fs::read_to_string(&file).expect("it is there");
    let part = text.lines().take(300).collect::<Vec<_>>().join("\n");
    fs::write(format!("{file}.some"), part).expect("it can be written");
    for (file, recorded, present) in
        [(format!("{file}.some"), 300, 0), (file.clone(), 300, 300), (file.clone(), 0, 600)]
    {
        let imported = &to.lines("import", &[&file])[0];
        assert_eq!((&imported["recorded"], &imported["present"]), (&recorded.into(), &present.into()));
    }
    let events = |server: &Server| {
        let mut events = server.lines("read", &[]);
        for event in &mut events {
            event["source"] = Value::Null;
        }
        events
    };
    assert_eq!(events(&to), events(&from), "ids, versions, times and all");

    let gap = text.lines().skip(7).collect::<Vec<_>>().join("\n");
    fs::write(format!("{file}.some"), gap).expect("it can be written");
    let output = Server::start().ask("import", &[&format!("{file}.some")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(6) && said.contains("line 1: this is version 2"), "{output:?}");
}

#[test]
fn a_query_has_several_items() {
    let server = Server::start();
    for (stream, name, tag) in [("order-1", "placed", "a"), ("order-2", "paid", "b"), ("payment-1", "made", "b")] {
        server.lines("append", &[stream, name, "{}", "--tag", tag]);
    }
    let found = |more: &[&str]| {
        server
            .lines("query", more)
            .iter()
            .map(|event| event["position"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let of = |positions: &[&str]| positions.iter().map(|position| Some((*position).to_owned())).collect::<Vec<_>>();
    let items = [r#"{"category": "order", "types": ["placed"]}"#, r#"{"tags": ["b"], "stream": "payment-1"}"#];
    assert_eq!(found(&items), of(&["1", "3"]));
    assert_eq!(found(&[items[0], items[1], "--backward", "--limit", "1"]), of(&["3"]));
    assert_eq!(found(&["{}", "--after", "1"]), of(&["2", "3"]));
    for wrong in ["", "{", r#"{"type": "placed"}"#, r#"{"category": "a", "stream": "a-1"}"#] {
        assert_eq!(server.code("query", &[wrong]), 2, "{wrong}");
    }
    assert_eq!(server.code("query", &[]), 2, "a query without items is a mistake");
}

#[test]
fn what_takes_a_folder_says_so() {
    let server = Server::start();
    for (command, more) in [("rebuild-index", &[][..]), ("restore", &["there"][..])] {
        let output = server.ask(command, more);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("works on folders"), "{output:?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_annalist")).args(["tail", "-f"]).arg(server.folder.path()).output();
    assert_eq!(output.expect("the program runs").status.code(), Some(3), "there is no store");
}

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_annalist")).args(["completions", shell]).output();
        let script = String::from_utf8(output.expect("the program runs").stdout).expect("it prints UTF-8");
        assert!(
            ["rebuild-index", "--follow", "groups"].iter().all(|word| script.contains(word.trim_start_matches('-')))
        );
    }
    let written = Command::new(env!("CARGO_BIN_EXE_annalist")).arg("man").arg(folder.path()).status();
    assert!(written.expect("the program runs").success());
    let page = fs::read_to_string(folder.path().join("annalist-tail.1")).expect("a page for each command");
    assert!(page.contains("follow"), "{page}");
    let missing = Command::new(env!("CARGO_BIN_EXE_annalist")).arg("man").arg(folder.path().join("x")).status();
    assert_eq!(missing.expect("the program runs").code(), Some(1));
}
