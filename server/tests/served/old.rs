//! A server from before calls were shared: a new client does without them.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use annalist_client::RemoteStore;
use annalist_core::{
    Append, AppendError, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, Position, Query,
    Read, RecordedEvent, StreamId, Version,
};
use axum::{
    Router,
    extract::{Request, State},
    response::Response,
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Status, body::Body, service::Routes, transport::Channel};
use tower::ServiceExt as _;

use crate::support::Process;

/// The same server without some methods, as they were not there once.
#[derive(Clone)]
struct Old {
    server: Channel,
    /// How often it was asked for what it does not have.
    asked: Arc<AtomicU32>,
}

impl Old {
    /// Stands before a server, and answers for as long as the tasks are there.
    async fn before(server: &Process, tasks: &mut JoinSet<()>) -> (Self, SocketAddr) {
        let server = Channel::from_shared(server.address.clone()).expect("an address").connect_lazy();
        let old = Self { server, asked: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let routes = Routes::from(Router::new().fallback(answer).with_state(old.clone()));
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tasks.spawn(async move {
            let served = tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming).await;
            served.expect("it is served until the test is over");
        });
        (old, address)
    }
}

async fn answer(State(old): State<Old>, request: Request) -> Response {
    if ["/annalist.v1.EventStore/Pipeline", "/annalist.v1.EventStore/Lookup"].contains(&request.uri().path()) {
        old.asked.fetch_add(1, Relaxed);
        return Status::unimplemented("").into_http();
    }
    let answer = old.server.oneshot(request.map(Body::new)).await.expect("the server is there");
    answer.map(axum::body::Body::new)
}

fn event(bytes: usize) -> NewEvent {
    let payload = format!("\"{}\"", "x".repeat(bytes));
    NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), payload)
}

fn stream(number: u64) -> StreamId {
    StreamId::of("greeting", number).expect("a valid name")
}

async fn all(store: &RemoteStore, read: Read) -> Vec<RecordedEvent> {
    let mut batches = store.read(read).await.expect("it begins");
    let mut events = Vec::new();
    loop {
        match batches.next().await.expect("it goes on") {
            batch if batch.is_empty() => return events,
            batch => events.extend(batch),
        }
    }
}

#[tokio::test]
async fn a_server_without_shared_calls_is_asked_by_calls_of_their_own() {
    let (dir, mut tasks) = (tempfile::tempdir().expect("a folder"), JoinSet::new());
    let server = Process::start(dir.path());
    let (old, address) = Old::before(&server, &mut tasks).await;
    let store = RemoteStore::connect(&format!("http://{address}")).expect("the address of a server");

    // All at once, so that many are sent before the first learns that there is no such call. None of them has a key: each is
    // recorded once, or it would not be called recorded.
    let mut appends = JoinSet::new();
    for number in 0..64 {
        let store = store.clone();
        appends.spawn(async move {
            store.append(Append::new().events(stream(number), Expected::NoStream, [event(5)])).await
        });
    }
    let mut positions: Vec<_> =
        appends.join_all().await.into_iter().map(|done| done.expect("recorded").cursor.position).collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=64).map(Position::new).collect::<Vec<_>>());

    let again = store.append(Append::new().events(stream(0), Expected::NoStream, [event(5)])).await;
    assert!(matches!(again, Err(AppendError::Conflict { .. })), "errors are what they are: {again:?}");
    let keyed = || {
        let key = Key::new("test", "large").expect("a valid key");
        Append::new().events(stream(0), Expected::Any, [event(100_000), event(100_000)]).keyed(
            key,
            Fingerprint::new([2; 16]),
            "",
        )
    };
    assert!(!store.append(keyed()).await.expect("it is recorded").repeated);
    assert!(store.append(keyed()).await.expect("it is known").repeated);

    let short = all(&store, Read::stream(stream(3), Version::ZERO)).await;
    assert_eq!(short.len(), 1);
    let long = all(&store, Read::stream(stream(0), Version::ZERO)).await;
    assert_eq!(long.iter().map(|event| event.version.get()).collect::<Vec<_>>(), [1, 2, 3]);
    let found = all(&store, Read::query(Query::category("greeting"), Position::ZERO)).await;
    assert_eq!(found.len(), 66);
    assert_eq!(old.asked.load(Relaxed), 2, "it is asked for each kind of call once, and then taken at its word");
}
