//! The server over plain HTTP, spoken to by curl.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::support::{Process, curl};
use serde_json::{Value, json};

struct Client {
    server: Process,
    _dir: tempfile::TempDir,
}

impl Client {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self { server: Process::start(dir.path()), _dir: dir }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.address)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = curl(&[&self.url(path)]);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, body) = curl(&[&self.url(path), "-d", &body.to_string()]);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    fn append(&self, stream: &str, data: &Value) -> Value {
        let events = json!([{ "type": "counted", "tags": ["t:1"], "data": data }]);
        let (status, answer) = self.post("/v1/append", &json!({ "entries": [{ "stream": stream, "events": events }] }));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn follow(&self, path: &str, more: &[&str]) -> Follower {
        let mut curl = Command::new("curl");
        curl.args(["-sN", &self.url(path)]).args(more).stdout(Stdio::piped());
        let mut child = curl.spawn().expect("curl runs");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        Follower { child, lines }
    }
}

/// A subscription by curl.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    /// The next event: its name, its id, its data.
    fn next(&mut self) -> (String, String, Value) {
        let (mut name, mut id, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let line = self.lines.next().expect("it goes on").expect("it is text");
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => value.clone_into(&mut id),
                Some(("data", value)) => data = serde_json::from_str(value).expect("data is JSON"),
                _ if line.is_empty() && !name.is_empty() => return (name, id, data),
                _ => {}
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn problem((status, answer): &(u16, Value)) -> (u16, &str) {
    let kind = answer.get("type").and_then(Value::as_str).unwrap_or_default();
    assert_eq!(answer.get("status"), Some(&json!(status)), "{answer}");
    (*status, kind.trim_start_matches("urn:annalist:problem:"))
}

#[test]
fn the_lines_of_the_documents_work_as_they_are_written() {
    for document in ["README.md", "docs/server.md"] {
        let client = Client::new();
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(document)).expect("it is there");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
        let [append, read, follow] = lines.as_slice() else { panic!("three lines in {document}: {lines:?}") };
        let at_this = |line: &str| line.replace("http://127.0.0.1:2665", &client.server.address);
        let run = |line: &str| {
            let output = Command::new("sh").args(["-c", &at_this(line)]).output().expect("a shell runs");
            serde_json::from_slice::<Value>(&output.stdout).expect("an answer is JSON")
        };
        assert_eq!(run(append)["streams"], json!([{ "stream": "greeting-1", "version": 1 }]), "{document}");
        assert_eq!(run(read)["events"][0]["data"], json!({ "name": "world" }), "{document}");
        let line = format!("exec {}", at_this(follow));
        let mut child = Command::new("sh").args(["-c", &line]).stdout(Stdio::piped()).spawn().expect("a shell runs");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let mut follower = Follower { child, lines };
        let (name, _, data) = follower.next();
        assert_eq!((name.as_str(), &data["data"]), ("recorded", &json!({ "name": "world" })), "{document}");
        run(append);
        let names = [follower.next().0, follower.next().0];
        assert!(names.contains(&"recorded".to_owned()), "{document}: what comes later is told too: {names:?}");
    }
}

#[test]
fn what_is_appended_is_read_as_it_was() {
    let client = Client::new();
    let exact = r#"{"entries":[{"stream":"a-1","expected":"no-stream","events":[
        {"type":"t","data":{"z": 1.0, "a": 12345678901234567890123},"metadata":{"actor":"ada"}},
        {"type":"t","type_version":3,"data_base64":"AP8=","tags":["x","y"],"id":"01a22105-a6bc-7594-9619-5a05919d0001"}]}]}"#;
    let (status, answer) = curl(&[&client.url("/v1/append"), "-d", exact]);
    assert_eq!(status, 200, "{answer}");
    let (_, text) = curl(&[&client.url("/v1/events")]);
    assert!(text.contains(r#""data":{"z": 1.0, "a": 12345678901234567890123}"#), "JSON is kept to the letter: {text}");
    let (_, page) = client.get("/v1/events?tag=x&tag=y");
    let event = &page["events"][0];
    assert_eq!((&event["data_base64"], &event["content_type"]), (&json!("AP8="), &json!("application/octet-stream")));
    assert_eq!((&event["type_version"], &event["position"], &event["version"]), (&json!(3), &json!(2), &json!(2)));
    assert_eq!(event["id"], "01a22105-a6bc-7594-9619-5a05919d0001");
    let (_, page) = client.get("/v1/events?limit=1");
    assert_eq!((&page["events"][0]["metadata"], &page["next"]), (&json!({ "actor": "ada" }), &json!(1)));
}

#[test]
fn pages_follow_each_other_both_ways() {
    let client = Client::new();
    for number in 1..=7 {
        client.append(&format!("s-{}", number % 2), &json!(number));
    }
    let pages = |path: &str, parameter: &str| {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let (status, page) = client.get(&format!("{path}&limit=2{from}"));
            assert_eq!(status, 200, "{page}");
            found.extend(page["events"].as_array().expect("events").iter().map(|event| event["data"].as_u64()));
            let Some(next) = page["next"].as_u64() else { return found.into_iter().flatten().collect::<Vec<_>>() };
            from = format!("&{parameter}={next}");
        }
    };
    assert_eq!(pages("/v1/events?category=s", "after"), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(pages("/v1/events?stream=s-1", "after"), [1, 3, 5, 7]);
    assert_eq!(client.get("/v1/events?before=&limit=3").1["events"][2]["data"], 5);
    let both =
        json!({ "query": { "items": [{ "stream": "s-1" }, { "tags": ["t:1"], "types": ["counted"] }] }, "after": 5 });
    assert_eq!(client.post("/v1/query", &both).1["events"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_subscription_goes_on_behind_the_last_event_id() {
    let client = Client::new();
    for number in 1..=3 {
        client.append("s-1", &json!(number));
    }
    let mut follower = client.follow("/v1/subscribe?stream=s-1", &[]);
    let (_, _, first) = follower.next();
    let (_, second_id, second) = follower.next();
    assert_eq!((&first["data"], &second["data"]), (&json!(1), &json!(2)));
    drop(follower);
    let header = format!("Last-Event-ID: {second_id}");
    let mut again = client.follow("/v1/subscribe?stream=s-1&after=0", &["-H", &header]);
    assert_eq!(again.next().2["data"], 3, "the header goes before the parameter");
    let (name, id, _) = again.next();
    assert_eq!(
        (name.as_str(), id.as_str()),
        ("caught-up", client.get("/v1/head").1["cursor"].as_str().expect("a cursor"))
    );
    client.append("s-1", &json!(4));
    assert_eq!(again.next().2["data"], 4);
    let mut behind = client.follow("/v1/subscribe?after=3", &[]);
    assert_eq!(behind.next().2["data"], 4, "a position alone is one of this log");
}

#[test]
fn a_key_is_recorded_once() {
    let client = Client::new();
    let request = |data| {
        let entries = json!([{ "stream": "a-1", "events": [{ "type": "t", "data": data }] }]);
        json!({ "entries": entries, "key": { "scope": "s", "id": "k" } })
    };
    let (status, first) = client.post("/v1/append", &request(1));
    assert_eq!((status, &first["repeated"]), (200, &json!(false)));
    let (status, again) = client.post("/v1/append", &request(1));
    assert_eq!((status, &again["repeated"], &again["position"]), (200, &json!(true), &json!(1)));
    assert_eq!(problem(&client.post("/v1/append", &request(2))), (422, "key-reused"));
    assert_eq!(client.get("/v1/outcome?scope=s&id=k").1["appended"]["position"], 1);
    assert_eq!(problem(&client.get("/v1/outcome?scope=s&id=other")), (404, "not-found"));
}

#[test]
fn what_is_wrong_is_told() {
    let client = Client::new();
    let first = client.append("a-1", &json!(1));
    let event = json!([{ "type": "t", "data": 1 }]);
    let conflict = json!({ "entries": [{ "stream": "a-1", "expected": 5, "events": event }] });
    let answer = client.post("/v1/append", &conflict);
    assert_eq!(problem(&answer), (409, "conflict"));
    assert_eq!((&answer.1["stream"], &answer.1["actual"]), (&json!("a-1"), &json!(1)));
    let unless = |after: Value| {
        let condition = json!({ "query": { "items": [{ "tags": ["t:1"] }] }, "after": after });
        json!({ "entries": [{ "stream": "b-1", "events": event }], "conditions": [condition] })
    };
    let answer = client.post("/v1/append", &unless(Value::Null));
    assert_eq!((problem(&answer), &answer.1["condition"]), ((409, "condition-failed"), &json!(1)));
    assert_eq!(
        client.post("/v1/append", &unless(first["cursor"].clone())).0,
        200,
        "behind what was seen there is nothing"
    );
    let foreign = "1@00000000-0000-0000-0000-000000000001:1";
    assert_eq!(problem(&client.post("/v1/append", &unless(json!(foreign)))), (410, "foreign-cursor"));
    assert_eq!(problem(&client.get(&format!("/v1/subscribe?after={foreign}"))), (410, "foreign-cursor"));
    for (path, body) in [
        ("/v1/append", json!({})),
        ("/v1/append", json!({ "entrees": [] })),
        ("/v1/append", json!([1])),
        ("/v1/append", json!({ "entries": [{ "stream": "$commits", "events": event }] })),
        ("/v1/append", json!({ "entries": [{ "stream": "a-1", "events": [{ "type": "t" }] }] })),
        ("/v1/append", json!({ "entries": [{ "stream": "a-1", "events": [{ "type": "t", "data_base64": "?" }] }] })),
        ("/v1/query", json!({ "query": { "items": [] } })),
        ("/v1/query", json!({ "query": { "items": [{}] }, "limit": 0 })),
    ] {
        assert_eq!(problem(&client.post(path, &body)), (400, "invalid"), "{path} {body}");
    }
    for path in [
        "/v1/events?limit=1001",
        "/v1/events?limit=x",
        "/v1/events?tags=x",
        "/v1/events?after=1&before=2",
        "/v1/events?category=a&stream=a-1",
        "/v1/subscribe?after=x",
        "/v1/subscribe?limit=1",
        "/v1/outcome?scope=s",
    ] {
        assert_eq!(problem(&client.get(path)), (400, "invalid"), "{path}");
    }
    assert_eq!(problem(&client.get("/v1/nothing")), (404, "not-found"));
    assert_eq!(problem(&client.get("/v1/append")), (405, "method-not-allowed"));
    let (_, headers) = curl(&["-D", "-", "-o", "/dev/null", &client.url("/v1/nothing")]);
    assert!(headers.to_lowercase().contains("content-type: application/problem+json"), "{headers}");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let client = Client::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), vec![b' '; 25 * 1024 * 1024]).expect("it can be written");
    let body = format!("@{}", file.path().display());
    let (status, answer) = curl(&[&client.url("/v1/append"), "-H", "Expect:", "--data-binary", &body]);
    assert_eq!(status, 413, "{answer}");
    assert!(answer.contains("urn:annalist:problem:too-large"), "{answer}");
}

#[test]
fn probes_metrics_and_the_description_are_there() {
    let client = Client::new();
    client.append("a-1", &json!(1));
    for probe in ["live", "ready", "startup"] {
        assert_eq!(client.get(&format!("/health/{probe}")), (200, json!({ "state": "healthy" })));
    }
    let (status, metrics) = curl(&[&client.url("/metrics")]);
    assert!(status == 200 && metrics.contains("annalist_") && metrics.ends_with("# EOF\n"), "{metrics}");
    assert_eq!(client.get("/v1/statistics").1["events"], 1);
    let (status, description) = client.get("/openapi.json");
    assert_eq!(status, 200);
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.len() >= 9, "{paths:?}");
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            if path == "/v1/subscribe" {
                continue;
            }
            let (status, answer) = curl(&["-X", &method.to_uppercase(), &client.url(path)]);
            assert!(status != 404 && status != 405, "{method} {path} is described and not there: {answer}");
        }
    }
    let schemas = description["components"]["schemas"].as_object().expect("schemas");
    for name in ["AppendIn", "AppendedOut", "EventIn", "EventOut", "Page", "Problem", "QueryIn", "ItemIn"] {
        assert!(schemas.contains_key(name), "{name} is described");
    }
}
