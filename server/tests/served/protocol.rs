//! The server as a program, spoken to as other languages do: by the protocol alone.

use std::process::Command;

use crate::support::Process;
use annalist_proto::v1::{
    AppendRequest, Cursor, Direction, Entry, Expected, HeadRequest, NewEvent, ReadRequest, SubscribeRequest,
    event_store_client::EventStoreClient, expected::Kind, subscribe_response::Delivery,
};
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

async fn channel(server: &Process) -> Channel {
    Channel::from_shared(server.address.clone()).expect("an address").connect().await.expect("it listens")
}

fn appended(stream: &str, payloads: &[&'static str]) -> AppendRequest {
    let event = |payload: &&'static str| NewEvent {
        r#type: "greeted".to_owned(),
        tags: vec!["polite".to_owned()],
        payload: payload.as_bytes().into(),
        ..NewEvent::default()
    };
    let expected = Some(Expected { kind: Kind::NoStream.into(), version: 0 });
    let entry = Entry { stream: stream.to_owned(), expected, events: payloads.iter().map(event).collect() };
    AppendRequest { entries: vec![entry], ..AppendRequest::default() }
}

#[tokio::test]
async fn the_protocol_alone_is_enough() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let mut client = EventStoreClient::new(channel(&server).await);
    let answer = client.append(appended("greeting-1", &["hello", "again"])).await.expect("recorded").into_inner();
    let answer = answer.appended.expect("what was recorded");
    assert_eq!((answer.after, answer.cursor.as_ref().map(|cursor| cursor.position)), (0, Some(2)));

    let refused = client.append(appended("greeting-1", &["hello"])).await.expect_err("the stream is there");
    assert_eq!(refused.code(), Code::Aborted);
    assert_eq!(refused.message(), "conflict: stream `greeting-1` is at version 2, expected no stream");
    assert!(!refused.details().is_empty());

    let backward = ReadRequest { direction: Direction::Backward.into(), ..ReadRequest::default() };
    let mut events = client.read(backward).await.expect("it begins").into_inner();
    let first = events.message().await.expect("it goes on").expect("a first message");
    assert_eq!(first.head, answer.cursor);
    let recorded = first.events.expect("events").recorded;
    let found: Vec<_> = recorded.iter().map(|event| (event.position, &event.payload[..])).collect();
    assert_eq!(found, [(2, &b"again"[..]), (1, &b"hello"[..])]);
    let one = recorded.first().expect("an event");
    assert_eq!((one.stream.as_str(), one.r#type.as_str(), one.type_version), ("greeting-1", "greeted", 1));
    assert_eq!((one.content_type.as_str(), one.id.len()), ("application/json", 16));
    assert_eq!(events.message().await.expect("it goes on"), None);

    let mut follow = client.subscribe(SubscribeRequest::default()).await.expect("it begins").into_inner();
    let mut next = async || follow.message().await.expect("it goes on").and_then(|message| message.delivery);
    assert!(matches!(next().await, Some(Delivery::Began(Cursor { position: 0, .. }))));
    assert!(matches!(next().await, Some(Delivery::Events(events)) if events.recorded.len() == 2));
    assert!(matches!(next().await, Some(Delivery::CaughtUp(at)) if Some(&at) == answer.cursor.as_ref()));
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let mut client = EventStoreClient::new(channel(&server).await);
    let mut request = Request::new(HeadRequest {});
    request.metadata_mut().insert("grpc-timeout", "0n".parse().expect("a value"));
    let late = client.head(request).await.expect_err("no time at all");
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    client.head(HeadRequest {}).await.expect("with time there is an answer");
}

#[tokio::test]
async fn health_and_the_protocol_can_be_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    for service in ["", "annalist.v1.EventStore"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(channel(&server).await).check(request).await.expect("it is known").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(channel(&server).await);
    let asked = reflection.server_reflection_info(futures_util::stream::iter([request])).await.expect("it answers");
    let answer = asked.into_inner().message().await.expect("it goes on").and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("a list: {answer:?}") };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    let own = ["annalist.v1.Checkpoints", "annalist.v1.EventStore", "annalist.v1.Snapshots", "grpc.health.v1.Health"];
    assert!(own.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
}

#[test]
fn a_second_server_on_the_same_store_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Process::start(dir.path());
    let refused = Process::command(dir.path()).output().expect("the command runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("in use by process"), "{said}");
    let taken = server.address.trim_start_matches("http://");
    let mut command = Command::new(env!("CARGO_BIN_EXE_annalist-server"));
    let refused = command.args(["--listen", taken, "--data"]).arg(dir.path().join("other")).output();
    let refused = refused.expect("the command runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains(taken), "{said}");
}
