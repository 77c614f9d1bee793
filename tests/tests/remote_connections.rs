//! How many connections a client has, what goes on which, and that each is made again by itself.

use std::{
    net::SocketAddr,
    num::NonZeroU8,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use annalist_client::{RemoteOptions, RemoteStore};
use annalist_core::{
    Append, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, NewEvent, Query, Read, StreamId, Version,
};
use tests::subjects::{ServerProcess, in_ram};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What connections go through: it counts them, and can break one.
struct Between {
    address: SocketAddr,
    made: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
    _tasks: JoinSet<()>,
}

impl Between {
    async fn new(server: &ServerProcess) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (made, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (server, mut tasks) = (server.listen().to_owned(), JoinSet::new());
        let (counted, kept) = (Arc::clone(&made), Arc::clone(&open));
        tasks.spawn(async move {
            let mut copying = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&server).await.expect("the server listens");
                counted.fetch_add(1, Ordering::Relaxed);
                let copy = copying.spawn(async move { _ = copy_bidirectional(&mut client, &mut server).await });
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
            }
        });
        Self { address, made, open, _tasks: tasks }
    }

    fn client(&self, connections: u8) -> RemoteStore {
        let mut options = RemoteOptions::default();
        options.connections = NonZeroU8::new(connections).expect("at least one");
        RemoteStore::connect_with(&format!("http://{}", self.address), options).expect("an address")
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Breaks the connection that was made as this one.
    fn break_off(&self, number: usize) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(number).expect("it was made").abort();
    }
}

fn server() -> (tempfile::TempDir, ServerProcess) {
    let dir = in_ram();
    let server = ServerProcess::start(env!("CARGO_BIN_EXE_store_server"), &dir.path().join("store"), "127.0.0.1:0");
    (dir, server)
}

fn stream() -> StreamId {
    StreamId::new("counted-1").expect("a name")
}

async fn append(store: &RemoteStore) {
    let event = NewEvent::new(EventId::generate(), EventType::new("counted").expect("a word"), "1");
    store.append(Append::new().events(stream(), Expected::Any, [event])).await.expect("recorded");
}

async fn read(store: &RemoteStore) -> usize {
    let mut batches = store.read(Read::stream(stream(), Version::ZERO)).await.expect("it begins");
    batches.next().await.expect("it goes on").len()
}

#[tokio::test]
async fn a_client_has_as_many_connections_as_it_is_told_and_makes_each_when_it_is_used() {
    let (_dir, server) = server();
    for connections in 1..=5 {
        let between = Between::new(&server).await;
        let store = between.client(connections);
        assert_eq!(between.made(), 0, "nothing was asked");
        let (long, all) = (usize::from(connections / 2), usize::from(connections));
        for _ in 0..8 {
            append(&store).await;
            read(&store).await;
            store.head().await.expect("an answer");
        }
        assert_eq!(between.made(), all - long, "for what is answered soon, of {all}");
        let mut followed = Vec::new();
        for _ in 0..8 {
            followed.push(store.subscribe(Query::all(), Cursor::START).await.expect("it begins"));
        }
        assert_eq!(between.made(), all, "with what has no end");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again_and_the_others_stay() {
    let (_dir, server) = server();
    let between = Between::new(&server).await;
    let store = between.client(3);
    // Numbers 0 and 1 are for what is short, 2 is for the others.
    append(&store).await;
    append(&store).await;
    let mut followed = store.subscribe(Query::all(), Cursor::START).await.expect("it begins");
    let next = async |followed: &mut Box<dyn annalist_core::Subscription>| loop {
        if let Delivery::Events(events) = followed.next().await.expect("it goes on") {
            return events.iter().map(|event| event.version.get()).collect::<Vec<_>>();
        }
    };
    assert_eq!(next(&mut followed).await, [1, 2]);
    assert_eq!(between.made(), 3);
    between.break_off(2);
    append(&store).await;
    assert_eq!(next(&mut followed).await, [3], "it goes on, without a gap or a repetition");
    assert_eq!(between.made(), 4, "that one was made again, and no other");
    between.break_off(0);
    for _ in 0..8 {
        assert_eq!(read(&store).await, 3);
    }
    assert_eq!(between.made(), 5);
}
