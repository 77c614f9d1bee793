//! A server is killed while it is used, and started again: what has a key is recorded once, what has none is recorded at most
//! once and never called unrecorded when it is not, no event is missed or repeated by who reads or follows.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU8,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use annalist_client::{RemoteOptions, RemoteStore};
use annalist_core::{
    Append, AppendError, Cursor, Delivery, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent,
    Position, Query, Read, RecordedEvent, StreamId, Version,
};
use tempfile::TempDir;
use tests::subjects::{ServerProcess, in_ram};
use tokio::{task::JoinHandle, time::sleep};

/// A server that is started again where it was.
struct Restarted {
    dir: TempDir,
    server: ServerProcess,
    connections: u8,
}

impl Restarted {
    /// One whose clients have so many connections.
    fn new(connections: u8) -> Self {
        let dir = in_ram();
        let server = start(&dir.path().join("store"), "127.0.0.1:0");
        Self { dir, server, connections }
    }

    fn client(&self) -> RemoteStore {
        let mut options = RemoteOptions::default();
        options.call_timeout = Duration::from_mins(1);
        options.connections = NonZeroU8::new(self.connections).expect("at least one");
        RemoteStore::connect_with(self.server.address(), options).expect("the address of a server")
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Tells it to end, and starts it again once it has.
    fn end_and_start(&mut self) {
        assert!(self.server.terminate().success(), "it ends in order");
        let listen = self.server.listen().to_owned();
        self.server = start(&self.path(), &listen);
    }

    fn kill_and_start(&mut self) {
        self.server.kill();
        let listen = self.server.listen().to_owned();
        self.server = start(&self.path(), &listen);
    }
}

fn start(path: &Path, listen: &str) -> ServerProcess {
    ServerProcess::start(env!("CARGO_BIN_EXE_store_server"), path, listen)
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

fn event(payload: impl Into<Vec<u8>>) -> NewEvent {
    NewEvent::new(EventId::generate(), EventType::new("counted").expect("a valid type"), payload.into())
}

fn payload(event: &RecordedEvent) -> String {
    String::from_utf8_lossy(event.payload()).into_owned()
}

async fn whole_log(store: &RemoteStore) -> Vec<RecordedEvent> {
    let mut batches = store.read(Read::all(Position::ZERO)).await.expect("the read begins");
    let mut found = Vec::new();
    loop {
        let batch = batches.next().await.expect("the read goes on");
        if batch.is_empty() {
            return found;
        }
        found.extend(batch);
    }
}

/// Kills the server `times` over, each time after `each` more appends were answered.
async fn kill(restarted: &mut Restarted, answered: &AtomicU64, each: u64, times: u64) {
    for round in 1..=times {
        while answered.load(Ordering::Relaxed) < round * each {
            sleep(Duration::from_millis(1)).await;
        }
        restarted.kill_and_start();
    }
}

const WRITERS: u64 = 8;
const EACH: u64 = 150;
const KILLS: u64 = 5;

async fn keyed_appends_are_recorded_once_and_followed_without_a_gap_or_a_repetition(connections: u8) {
    let mut restarted = Restarted::new(connections);
    let store = restarted.client();
    let answered = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, answered) = (store.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let to = stream(&format!("writer-{writer}"));
                for number in 0..EACH {
                    let name = format!("{writer}/{number}");
                    let key = Key::new("writers", name.as_str()).expect("a valid key");
                    let append = Append::new().events(to.clone(), Expected::Any, [event(name.as_str())]).keyed(
                        key,
                        Fingerprint::new([1; 16]),
                        "",
                    );
                    let appended = store.append(append).await.expect("it is asked until it is answered");
                    assert_eq!(appended.streams, [(to.clone(), Version::new(number + 1))]);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let follower = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut subscription = store.subscribe(Query::all(), Cursor::START).await.expect("it begins");
            let (mut found, mut at_edge) = (Vec::new(), false);
            while (found.len() as u64) < WRITERS * EACH {
                match subscription.next().await.expect("it goes on") {
                    Delivery::Events(events) => {
                        found.extend(events);
                        at_edge = false;
                    }
                    Delivery::CaughtUp(cursor) => {
                        assert!(!at_edge, "an edge is told once: {cursor}");
                        assert_eq!(cursor.position.get(), found.len() as u64);
                        at_edge = true;
                    }
                    Delivery::Checkpoint(cursor) => panic!("everything matches: {cursor}"),
                }
            }
            found
        })
    };
    kill(&mut restarted, &answered, WRITERS * EACH / (KILLS + 1), KILLS).await;
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    let followed = follower.await.expect("the follower ends");
    let log = whole_log(&store).await;
    assert!(followed == log, "what was followed is the log");
    let positions: Vec<u64> = log.iter().map(|event| event.position.get()).collect();
    assert_eq!(positions, (1..=WRITERS * EACH).collect::<Vec<_>>());
    let names: HashSet<String> = log.iter().map(payload).collect();
    assert_eq!(names.len() as u64, WRITERS * EACH, "each is recorded once");
}

async fn appends_without_a_key_are_never_called_unrecorded_when_they_are_not(connections: u8) {
    let mut restarted = Restarted::new(connections);
    let store = restarted.client();
    let answered = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, answered) = (store.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut answers = HashMap::new();
                for number in 0..EACH {
                    let name = format!("{writer}/{number}");
                    let append = Append::new().events(stream("all-1"), Expected::Any, [event(name.as_str())]);
                    answers.insert(name, store.append(append).await);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                answers
            })
        })
        .collect();
    kill(&mut restarted, &answered, WRITERS * EACH / (KILLS + 1), KILLS).await;
    let mut recorded = HashMap::<String, u64>::new();
    let mut unknown = 0;
    let mut answers = HashMap::new();
    for writer in writers {
        answers.extend(writer.await.expect("the writer ends"));
    }
    for event in whole_log(&store).await {
        *recorded.entry(payload(&event)).or_default() += 1;
    }
    for (name, answer) in &answers {
        let times = recorded.get(name).copied().unwrap_or(0);
        match answer {
            Ok(_) => assert_eq!(times, 1, "{name} was acknowledged"),
            Err(AppendError::Unknown { .. }) => {
                assert!(times <= 1, "{name} may be there, once");
                unknown += 1;
            }
            Err(AppendError::Unavailable { .. }) => assert_eq!(times, 0, "{name} was called unrecorded"),
            Err(other) => panic!("{name}: {other}"),
        }
    }
    assert_eq!(answers.len() as u64, WRITERS * EACH);
    assert!(unknown > 0, "some were in flight when it was killed");
}

async fn a_server_that_is_told_to_end_leaves_no_append_unknown(connections: u8) {
    let mut restarted = Restarted::new(connections);
    let store = restarted.client();
    let answered = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, answered) = (store.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                for number in 0..EACH {
                    let append =
                        Append::new().events(stream("all-1"), Expected::Any, [event(format!("{writer}/{number}"))]);
                    store
                        .append(append)
                        .await
                        .expect("what was not taken is asked again, and what was taken is answered");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for round in 1..=KILLS {
        let enough = round * WRITERS * EACH / (KILLS + 1);
        while answered.load(Ordering::Relaxed) < enough && !writers.iter().all(JoinHandle::is_finished) {
            sleep(Duration::from_millis(1)).await;
        }
        restarted.end_and_start();
    }
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    let names: HashSet<String> = whole_log(&store).await.iter().map(payload).collect();
    assert_eq!(names.len() as u64, WRITERS * EACH);
    assert_eq!(store.head().await.expect("it is there").position.get(), WRITERS * EACH, "each is recorded once");
}

/// Enough that a read of it is far from its end when its first events have come.
const LARGE: usize = 16 * 1024;
const MANY: u64 = 1500;

async fn reads_go_on_where_they_broke_off(connections: u8) {
    let mut restarted = Restarted::new(connections);
    let store = restarted.client();
    let write = async |count: u64| {
        for _ in 0..count / 50 {
            let events = (0..50).map(|_| event(vec![b'x'; LARGE]));
            store.append(Append::new().events(stream("large-1"), Expected::Any, events)).await.expect("recorded");
        }
    };
    write(MANY).await;
    let whole: Vec<u64> = (1..=MANY).collect();
    let reversed: Vec<u64> = whole.iter().rev().copied().collect();
    let expected = [
        (Read::all(Position::ZERO), whole.clone()),
        (Read::all_backward(Position::MAX), reversed.clone()),
        (Read::stream(stream("large-1"), Version::ZERO), whole.clone()),
        (Read::stream_backward(stream("large-1"), Version::MAX), reversed),
        (Read::query(Query::types(["counted"]), Position::new(5)).limit(1000), (6..=1005).collect()),
    ];
    let mut begun = Vec::new();
    for (read, expected) in expected {
        let mut batches = store.read(read).await.expect("the read begins");
        let first = batches.next().await.expect("the read goes on");
        assert!(first.len() < expected.len(), "there is more to come: {}", first.len());
        begun.push((batches, first, expected));
    }
    restarted.kill_and_start();
    // What comes later is no part of them.
    write(100).await;
    for (mut batches, mut found, expected) in begun {
        assert_eq!(batches.head().position.get(), MANY);
        loop {
            let batch = batches.next().await.expect("the read goes on");
            if batch.is_empty() {
                break;
            }
            found.extend(batch);
        }
        let positions: Vec<u64> = found.iter().map(|event| event.position.get()).collect();
        assert!(positions == expected, "{} of {} events", positions.len(), expected.len());
    }
}

async fn a_server_that_is_told_to_end_does_so_with_clients_connected(connections: u8) {
    let restarted = Restarted::new(connections);
    let store = restarted.client();
    let mut waits = store.subscribe(Query::all(), Cursor::START).await.expect("it begins");
    let ignored = store.subscribe(Query::all(), Cursor::START).await.expect("it begins");
    let at = store.append(Append::new().events(stream("a-1"), Expected::Any, [event("1")])).await.expect("recorded");
    assert!(matches!(waits.next().await, Ok(Delivery::Events(_) | Delivery::CaughtUp(_))));
    let (path, listen) = (restarted.path(), restarted.server.listen().to_owned());
    let Restarted { dir, mut server, .. } = restarted;
    assert!(server.terminate().success(), "it ends in order");
    let again = start(&path, &listen);
    assert_eq!(store.head().await, Ok(at.cursor), "and the client finds the next one");
    store.close();
    drop((ignored, again, dir));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_unavailable_and_nothing_was_written() {
    let mut restarted = Restarted::new(1);
    let mut options = RemoteOptions::default();
    options.call_timeout = Duration::from_millis(300);
    let store = RemoteStore::connect_with(restarted.server.address(), options).expect("the address of a server");
    restarted.server.kill();
    for keyed in [false, true] {
        let plain = Append::new().events(stream("a-1"), Expected::Any, [event("1")]);
        let key = Key::new("scope", "id").expect("a valid key");
        let append = if keyed { plain.keyed(key, Fingerprint::new([1; 16]), "") } else { plain };
        match store.append(append).await {
            Err(AppendError::Unavailable { why }) => assert!(why.contains("refused"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Each of these on one connection, and on several.
macro_rules! cases {
    ($($case:ident)*) => {
        mod on_one_connection {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(1).await;
            })*
        }
        mod on_four_connections {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(4).await;
            })*
        }
    };
}

cases! {
    keyed_appends_are_recorded_once_and_followed_without_a_gap_or_a_repetition
    appends_without_a_key_are_never_called_unrecorded_when_they_are_not
    a_server_that_is_told_to_end_leaves_no_append_unknown
    reads_go_on_where_they_broke_off
    a_server_that_is_told_to_end_does_so_with_clients_connected
}
