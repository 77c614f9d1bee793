//! A real nats-server, and a log to publish from.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses what it needs; a helper that fails fails the test"
)]

pub(crate) mod bank;

use std::{
    env,
    future::Future,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use annalist::outbox::{IntegrationEvent, Outbox, Relay, RelayOptions, RelayStatus};
use annalist_core::{
    Append, Checkpoints, Cursor, EventId, EventStore, EventType, Expected, NewEvent, RecordedEvent, StreamId,
};
use annalist_nats::{Jetstream, StoredMessage};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use uuid::Uuid;

/// How long anything may take: far longer than it does, so that a slow machine does not fail a test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const STREAM: &str = "ORDERS";

/// A nats-server of our own in a directory of its own, killed at the end.
pub(crate) struct Server {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
    arguments: Vec<String>,
}

impl Server {
    /// A server on a free port.
    pub(crate) async fn start() -> Self {
        let mut server = Self::reserve();
        server.restart().await;
        server
    }

    /// An address at which nobody listens until [`Server::restart`].
    pub(crate) fn reserve() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), port: free_port(), child: None, arguments: Vec::new() }
    }

    /// Three servers that are a cluster once they are started.
    pub(crate) fn reserve_cluster() -> [Self; 3] {
        let route = |port: u16| format!("nats://127.0.0.1:{port}");
        let ports = [(); 3].map(|()| free_port());
        let routes = ports.map(route).join(",");
        ports.map(|port| {
            let own = [("--server_name", port.to_string()), ("--cluster", route(port)), ("--routes", routes.clone())];
            let mut server = Self::reserve();
            server.arguments = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
            server.arguments.extend(["--cluster_name", "annalist"].map(str::to_owned));
            server
        })
    }

    /// The same with a configuration.
    pub(crate) fn configured(mut self, configuration: &str) -> Self {
        let path = self.dir.path().join("configuration");
        std::fs::write(&path, configuration).unwrap();
        self.arguments = vec!["--config".to_owned(), path.display().to_string()];
        self
    }

    /// The name by which a cluster knows it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.arguments.get(1).map(String::as_str)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts it with what it has stored so far, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut command = Command::new(binary());
        command.args(["--addr", "127.0.0.1", "--jetstream", "--port", &self.port.to_string(), "--store_dir"]);
        command.arg(self.dir.path()).args(&self.arguments).arg("--log").arg(self.dir.path().join("log"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.unwrap());
        within("nats-server to answer", async {
            while !self.answers().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn answers(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await else { return false };
        let mut hello = [0; 5];
        connection.read_exact(&mut hello).await.is_ok() && &hello == b"INFO "
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn binary() -> PathBuf {
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.tools/nats-server");
    let path = env::var_os("NATS_SERVER").map_or(installed, PathBuf::from);
    assert!(path.is_file(), "there is no nats-server at {}: run `make tools`, or set NATS_SERVER", path.display());
    path
}

/// Fails instead of hanging.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until the status of a relay is as wanted.
pub(crate) async fn until(relay: &Relay, what: &str, wanted: impl FnMut(&RelayStatus) -> bool) -> RelayStatus {
    let mut watch = relay.watch();
    let status = within(what, watch.wait_for(wanted)).await;
    status.unwrap_or_else(|_| panic!("the relay ended before {what}")).clone()
}

/// Waits until everything recorded so far is published.
pub(crate) async fn drained(relay: &Relay) -> Cursor {
    within("the relay to publish everything", relay.drained()).await.unwrap()
}

/// Orders number `from ..= to`, a hundred in one append; the ids follow from the numbers.
pub(crate) async fn place_orders(log: &dyn EventStore, from: u64, to: u64) {
    place(log, "order-placed", from, to).await;
}

/// Notes that map to nothing.
pub(crate) async fn take_notes(log: &dyn EventStore, from: u64, to: u64) {
    place(log, "note-taken", from, to).await;
}

async fn place(log: &dyn EventStore, event_type: &'static str, from: u64, to: u64) {
    for first in (from..=to).step_by(100) {
        let append = (first..=to.min(first + 99)).fold(Append::new(), |append, order| {
            let stream = StreamId::of("order", order).unwrap();
            append.events(stream, Expected::Any, [event(event_type, order, format!("{{\"order\":{order}}}"))])
        });
        log.append(append).await.unwrap();
    }
}

pub(crate) fn event(event_type: &'static str, order: u64, payload: impl Into<bytes::Bytes>) -> NewEvent {
    NewEvent::new(order_id(order), EventType::new(event_type).unwrap(), payload)
}

pub(crate) fn order_id(order: u64) -> EventId {
    EventId::new(Uuid::from_u128(0x6f72_6465_7200_0000_0000_0000_0000_0000 + u128::from(order)))
}

/// `order-placed` is public, everything else is not.
pub(crate) fn public(event: &RecordedEvent) -> Vec<IntegrationEvent> {
    if event.type_name() != "order-placed" {
        return Vec::new();
    }
    vec![IntegrationEvent {
        event_type: "orders.order-placed.v1".to_owned(),
        subject: event.stream_id().identifier().to_owned(),
        content_type: "application/json",
        data: event.payload_bytes(),
    }]
}

/// Small windows and short pauses, so that much happens in a short test.
pub(crate) fn hasty() -> RelayOptions {
    let mut options = RelayOptions::default();
    options.window_messages_max = 64;
    options.backoff_min = Duration::from_millis(5);
    options.backoff_max = Duration::from_millis(50);
    options.note_interval = Duration::from_millis(20);
    options
}

pub(crate) fn outbox(server: &Server) -> Outbox {
    Outbox::new(Jetstream::at(server.url()).stream(STREAM)).map(public).options(hasty())
}

/// A relay from this log to the server.
pub(crate) fn relay<S: EventStore + Checkpoints + Clone>(server: &Server, log: &S) -> Relay {
    outbox(server).start(Arc::new(log.clone()), Arc::new(log.clone()))
}

/// What the stream of the broker at `url` holds.
pub(crate) async fn stored(url: &str) -> Vec<StoredMessage> {
    let read = async || annalist_nats::published(url, STREAM).await?.all().await;
    let read = async {
        loop {
            match read().await {
                Ok(stored) => return stored,
                // A cluster that elects a leader answers nobody for a while.
                Err(error) => tracing::debug!(%error, "asking again"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("the stored messages", read).await
}

/// The stream must hold exactly the orders `1 ..= count`, each once, in order.
pub(crate) async fn assert_holds_orders(url: &str, count: u64) {
    let stored = stored(url).await;
    assert_eq!(stored.len() as u64, count, "each order must be stored once");
    for (order, message) in (1..).zip(&stored) {
        assert_eq!(message.sequence, order, "the stream must have no gap");
        assert_eq!(message.id(), order_id(order).to_string(), "order {order} must stand at its place");
        assert_eq!(message.data, format!("{{\"order\":{order}}}"), "order {order} must have its payload");
    }
    let positions: Vec<_> = stored.iter().map(|message| message.origin.unwrap().cursor.position).collect();
    assert!(positions.is_sorted_by(|one, next| one < next), "positions must increase");
}
