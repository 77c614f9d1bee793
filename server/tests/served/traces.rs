//! What a receiver of OTLP is told of a server, and what its log lines say: requests go on with their callers' traces.

use std::process::{Command, Stdio};

use annalist_client::RemoteStore;
use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, NewEvent, Read, StreamId, TraceContext, Version,
};
use annalist_telemetry::receiver::{Receiver, Span};
use serde_json::Value;

use crate::support::{Process, curl};

/// Of a caller, and of the span in which it asks.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

fn traced(command: &mut Command, receiver: &Receiver) {
    command.env("ANNALIST_TRACES", format!("{}/v1/traces", receiver.address()));
    // Nothing is sent before the end but what fills a batch: what is seen here was sent when the server ended.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
}

fn append() -> Append {
    let event = NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}");
    Append::new().events(StreamId::of("greeting", 1).expect("a valid name"), Expected::NoStream, [event])
}

/// Ends a server, and says what it has logged.
fn end(mut server: Process) -> String {
    let told = Command::new("kill").arg("-TERM").arg(server.child.id().to_string()).status();
    assert!(told.is_ok_and(|status| status.success()), "it can be told to end");
    let mut logged = server.child.stderr.take();
    assert!(server.child.wait().expect("it ends").success());
    logged.as_mut().map(|logged| std::io::read_to_string(logged).expect("it is text")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_with_the_trace_of_their_caller() {
    let (dir, received) = (tempfile::tempdir().expect("a folder"), Receiver::start().await);
    let mut command = Process::command(dir.path());
    traced(&mut command, &received);
    let server = Process::run(command);

    let store = RemoteStore::connect(&server.address).expect("the address of a server");
    store.append(append()).await.expect("it is recorded, in no trace");
    store.trace_with(|| Some(TraceContext { traceparent: traceparent(), tracestate: Some("a=1".to_owned()) }));
    store.append(append()).await.expect_err("the stream is there");
    store.read(Read::stream(StreamId::of("greeting", 1).expect("a name"), Version::ZERO)).await.expect("it is read");
    store.head().await.expect("it is known");
    let header = format!("traceparent: {}", traceparent());
    assert_eq!(curl(&["-H", &header, &format!("{}/v1/head", server.address)]).0, 200);
    assert_eq!(curl(&["-H", &header, &format!("{}/health/live", server.address)]).0, 200);
    assert_eq!(curl(&["-H", &header, &format!("{}/metrics", server.address)]).0, 200);
    store.close();
    tokio::task::spawn_blocking(move || end(server)).await.expect("it ends");

    let request = |path: &'static str| {
        received
            .one("annalist-server", "annalist.request", |span| span.field("path") == Some(path) && span.trace == TRACE)
    };
    let appended = request("/annalist.v1.EventStore/Pipeline");
    assert_eq!((appended.field("grpc_status"), appended.failed), (Some("10"), false), "a conflict is no fault");
    for path in ["/annalist.v1.EventStore/Lookup", "/annalist.v1.EventStore/Head", "/v1/head"] {
        let request = request(path);
        assert_eq!((&*request.parent, request.kind), (PARENT, 2), "{request:?}");
        assert_eq!(request.field("traceparent"), None, "it is the parent, and no attribute");
    }
    // What the store does for an append is part of its trace.
    let within = received.all("annalist-server", "annalist.append", |span| span.is_child_of(&appended));
    assert_eq!(within.len(), 1, "{:#?}", received.spans());
    // The call that the first append has opened is a trace of its own; what was asked on it without a trace is none.
    let calls: Vec<Span> = received.all("annalist-server", "annalist.request", |span| {
        span.field("path") == Some("/annalist.v1.EventStore/Pipeline")
    });
    assert_eq!(calls.iter().filter(|call| call.is_root()).count(), 1, "{calls:#?}");
    let is_probe =
        |span: &Span| span.field("path").is_some_and(|path| path == "/metrics" || path.starts_with("/health"));
    assert!(!received.spans().iter().any(is_probe), "probes are not traced");
}

/// Who gives the app the function that telemetry has gives it to the app's store.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_tells_the_server_of_its_store_which_trace_a_request_is_part_of() {
    let (dir, received) = (tempfile::tempdir().expect("a folder"), Receiver::start().await);
    let mut command = Process::command(dir.path());
    traced(&mut command, &received);
    let server = Process::run(command);
    let store = annalist::Store::remote(&server.address).expect("the address of a server");
    let events = std::sync::Arc::clone(store.events());
    let current = || Some(TraceContext { traceparent: traceparent(), tracestate: None });
    let app = annalist::App::open(store).with_trace_context(current).start().await.expect("it starts");
    events.append(append()).await.expect("it is recorded");
    app.shutdown().await.expect("it ends");
    tokio::task::spawn_blocking(move || end(server)).await.expect("it ends");
    let request = received.one("annalist-server", "annalist.request", |span| span.trace == TRACE);
    assert_eq!((&*request.parent, request.failed), (PARENT, false), "{request:?}");
    received.one("annalist-server", "annalist.append", |span| span.is_child_of(&request));
}

#[test]
fn log_lines_are_json_with_the_conversation_of_their_request() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = Process::command(dir.path());
    // Who is refused is told in the log.
    let keys = dir.path().join("keys");
    std::fs::write(&keys, format!("read somebody {}\n", "0".repeat(64))).expect("it can be written");
    command.env("ANNALIST_LOG", "json").env("RUST_LOG", "info").arg("--keys").arg(keys).stderr(Stdio::piped());
    let server = Process::run(command);
    let header = format!("traceparent: {}", traceparent());
    let head = format!("{}/v1/head", server.address);
    let (status, answer) = curl(&["-i", "-H", &header, "-H", "x-correlation-id: order-7", &head]);
    assert_eq!(status, 401);
    assert!(answer.contains("x-correlation-id: order-7"), "{answer}");
    let (_, answer) = curl(&["-i", "-H", "x-correlation-id: a b", &head]);
    assert!(answer.contains("x-correlation-id: 0") && !answer.contains("a b"), "it makes one: {answer}");

    let logged = end(server);
    let lines: Vec<Value> =
        logged.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}"))).collect();
    let refused: Vec<_> = lines.iter().filter(|line| line["target"] == "annalist::audit").collect();
    let [first, second] = refused[..] else { panic!("two were refused: {logged}") };
    assert_eq!((&first["correlation_id"], &first["trace_id"]), (&"order-7".into(), &TRACE.into()));
    assert_eq!((&first["span"], &first["result"]), (&"annalist.request".into(), &"unknown".into()));
    assert!(second["correlation_id"].as_str().is_some_and(|id| answer.contains(id)), "{second}");
    assert_eq!(second["trace_id"], Value::Null);
}

#[test]
fn a_collector_that_cannot_be_is_told_before_the_server_starts() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = Process::command(dir.path()).env("ANNALIST_TRACES", "not an address").output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("traces cannot be sent as configured"), "{said}");
}
