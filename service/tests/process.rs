//! The example as a process of its own: real HTTP, real signals, a store on the disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

/// The example, beside which the test was built.
fn example() -> PathBuf {
    let test = env::current_exe().unwrap();
    let built = test.parent().unwrap().parent().unwrap().join("examples/payments");
    if !built.exists() {
        let build = ["build", "--package", "annalist-service", "--example", "payments"];
        assert!(std::process::Command::new(env!("CARGO")).args(build).status().unwrap().success());
    }
    built
}

struct Payments {
    process: Child,
    base: String,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Payments {
    async fn start(data: &TempDir) -> Self {
        let mut command = Command::new(example());
        command.env("PAYMENTS_DATA", data.path()).env("PAYMENTS_LISTEN", "127.0.0.1:0").env("RUST_LOG", "info");
        // Nobody listens there.
        command.env("PAYMENTS_RATES", "http://127.0.0.1:1");
        let mut process = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let lines = Arc::new(Mutex::new(Vec::<Value>::new()));
        let base = loop {
            let line: Value = serde_json::from_str(&log.next_line().await.unwrap().unwrap()).unwrap();
            if line.get("message").is_some_and(|message| message == "listening") {
                break format!("http://{}", line.get("addr").and_then(Value::as_str).unwrap());
            }
        };
        let all = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                // Each line is an object, whatever wrote it.
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "not JSON": line }));
                all.lock().unwrap().push(line);
            }
        });
        Self { process, base, lines }
    }

    fn signal(&self) {
        let id = self.process.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    async fn ended(&mut self) -> ExitStatus {
        self.process.wait().await.unwrap()
    }

    /// Waits for a line of the log.
    async fn says(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(line) = self.lines.lock().unwrap().iter().find(|line| wanted(line)) {
                return line.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test sees what is sent as it is")]
fn http() -> reqwest::Client {
    reqwest::Client::new()
}

async fn post(http: &reqwest::Client, base: &str, account: &str, key: &str) -> reqwest::Result<u16> {
    let request = http.post(format!("{base}/v2/accounts/{account}/postings")).header("idempotency-key", key);
    let request = request.header("content-type", "application/json").header("x-correlation-id", key);
    Ok(request.body(r#"{"cents": 1}"#).send().await?.status().as_u16())
}

async fn read(base: &str, path: &str) -> (u16, BTreeMap<String, String>, Value) {
    let answer = http().get(format!("{base}{path}")).send().await.unwrap();
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let headers = headers.collect();
    (status, headers, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn it_does_what_its_documentation_says() {
    let data = tempfile::tempdir().unwrap();
    let mut payments = Payments::start(&data).await;
    for _ in 0..2 {
        assert_eq!(post(&http(), &payments.base, "alice", "request-1").await.unwrap(), 200);
    }
    let base = payments.base.clone();
    let (status, headers, body) = read(&base, "/v2/accounts/alice").await;
    assert_eq!((status, &body, headers.contains_key("deprecation")), (200, &json!({ "balance": 1 }), false));
    let (status, headers, body) = read(&base, "/v1/accounts/alice").await;
    assert_eq!((status, &body), (200, &json!({ "balance": 1 })));
    assert_eq!((&*headers["deprecation"], &*headers["link"]), ("@1767225600", "</v2>; rel=\"successor-version\""));
    let (status, headers, body) = read(&base, "/v2/accounts/alice/in/EUR").await;
    assert_eq!((status, &*headers["x-degraded"], &body["approximate"]), (200, "rates", &json!(true)));
    let (status, headers, body) = read(&base, "/v2/accounts/nobody").await;
    assert_eq!(
        (status, &*headers["content-type"], &body["title"]),
        (404, "application/problem+json", &json!("There is no such account"))
    );
    for probe in ["/health/live", "/health/ready", "/health/startup", "/health"] {
        assert_eq!(read(&base, probe).await.0, 200, "{probe}");
    }
    // The lines of a request bear its id.
    let line = payments.says(|line| line["message"] == "answered" && line["status"] == 200).await;
    assert_eq!(
        (&line["correlation_id"], &line["route"]),
        (&json!("request-1"), &json!("/v2/accounts/{account}/postings"))
    );
    payments.signal();
    assert!(payments.ended().await.success());
    assert!(payments.lines.lock().unwrap().iter().all(|line| line["not JSON"].is_null()));
}

/// Clients that keep asking, each request once, while the service is told to end: whatever was answered is recorded, and
/// whatever was recorded was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_cuts_no_request_off() {
    let data = tempfile::tempdir().unwrap();
    let mut payments = Payments::start(&data).await;
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let base = payments.base.clone();
        clients.spawn(async move {
            let (http, account) = (http(), format!("client-{client}"));
            let mut answered = 0_u64;
            // Nobody listens any more when it fails.
            while let Ok(status) = post(&http, &base, &account, &format!("{account}-{answered}")).await {
                assert_eq!(status, 200);
                answered += 1;
            }
            (account, answered)
        });
    }
    payments.says(|line| line["correlation_id"].as_str().is_some_and(|id| id.ends_with("-20"))).await;
    payments.signal();
    assert!(payments.ended().await.success());
    let answered: BTreeMap<String, u64> = clients.join_all().await.into_iter().collect();
    let said: Vec<Value> = payments.lines.lock().unwrap().iter().map(|line| line["message"].clone()).collect();
    let at = |what: &str| said.iter().position(|message| message == what).unwrap();
    assert!(at("ending: not ready any more") < at("ending: no more connections are taken"));
    assert!(at("ending: no more connections are taken") < at("ended: the store is closed"));

    let payments = Payments::start(&data).await;
    for (account, answered) in answered {
        let (_, _, body) = read(&payments.base, &format!("/v2/accounts/{account}")).await;
        assert_eq!(body["balance"], answered, "{account}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let data = tempfile::tempdir().unwrap();
    let mut payments = Payments::start(&data).await;
    assert_eq!(post(&http(), &payments.base, "alice", "1").await.unwrap(), 200);
    payments.signal();
    payments.says(|line| line["message"] == "ending: not ready any more").await;
    payments.signal();
    let ended = payments.ended().await;
    assert_eq!(ended.code(), Some(143), "{ended:?}");
    // What was acknowledged is there all the same.
    let payments = Payments::start(&data).await;
    assert_eq!(read(&payments.base, "/v2/accounts/alice").await.2["balance"], 1);
}
