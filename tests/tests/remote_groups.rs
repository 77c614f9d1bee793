//! Members of a consumer group and its server are killed while they work: every event is handed out, and the events of each
//! stream for the first time in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use annalist_client::{RemoteOptions, RemoteStore};
use annalist_core::{
    Append, EventId, EventStore as _, EventType, Expected, Fingerprint, Key, NewEvent, StreamId, Version,
};
use tests::subjects::{ServerProcess, in_ram};
use tokio::time::sleep;

const STREAMS: u64 = 12;
const EACH: u64 = 40;
const KILLS: u64 = 6;

/// When a member had an event, of which stream, which version.
type Seen = (u128, String, u64);

struct Member(Child);

impl Member {
    fn start(address: &str, seen: &mpsc::Sender<Seen>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_group_member"));
        command.args([address, "shipping", "order"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let seen = seen.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // A line that was cut off when it was killed says nothing.
                let mut words = line.split(' ');
                let mut read =
                    || Some((words.next()?.parse().ok()?, words.next()?.to_owned(), words.next()?.parse().ok()?));
                if let Some(one) = read() {
                    _ = seen.send(one);
                }
            }
        });
        Self(child)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

async fn append(store: &RemoteStore, number: u64) {
    for stream in 0..STREAMS {
        let event = NewEvent::new(EventId::generate(), EventType::new("placed").expect("a valid type"), "{}");
        let key = Key::new("orders", format!("{stream}/{number}")).expect("a valid key");
        let stream = StreamId::new(format!("order-{stream}")).expect("a valid name");
        let append = Append::new().events(stream, Expected::Exact(Version::new(number)), [event]);
        let append = append.keyed(key, Fingerprint::new([1; 16]), "");
        store.append(append).await.expect("it is recorded");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_streams_keep_their_order() {
    let dir = in_ram();
    let path = dir.path().join("store");
    let start = |listen: &str| ServerProcess::start(env!("CARGO_BIN_EXE_store_server"), &path, listen);
    let mut server = start("127.0.0.1:0");
    let listen = server.listen().to_owned();
    let mut options = RemoteOptions::default();
    options.call_timeout = Duration::from_mins(1);
    let store = RemoteStore::connect_with(server.address(), options).expect("the address of a server");
    let (sender, receiver) = mpsc::channel();
    let mut members: Vec<Member> = (0..3).map(|_| Member::start(server.address(), &sender)).collect();
    let mut seen: Vec<Seen> = Vec::new();
    for number in 0..EACH {
        append(&store, number).await;
        if number % (EACH / KILLS) == 1 {
            // Somebody is at work when somebody is killed.
            let before = seen.len();
            while seen.len() < before + 3 {
                seen.extend(receiver.try_iter());
                sleep(Duration::from_millis(1)).await;
            }
            if number % 2 == 1 {
                server.kill();
                server = start(&listen);
            }
            members.remove(0);
            members.push(Member::start(server.address(), &sender));
        }
    }
    let all: BTreeSet<(String, u64)> =
        (0..STREAMS).flat_map(|stream| (1..=EACH).map(move |version| (format!("order-{stream}"), version))).collect();
    let mut found: BTreeSet<(String, u64)> = BTreeSet::new();
    while found != all {
        seen.extend(receiver.try_iter());
        found = seen.iter().map(|(_, stream, version)| (stream.clone(), *version)).collect();
        sleep(Duration::from_millis(5)).await;
    }
    seen.sort();
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, stream, version) in &seen {
        let next = next.entry(stream).or_insert(1);
        assert!(version <= next, "version {version} of {stream} was seen before version {next}");
        *next = (*next).max(version + 1);
    }
    let settled = async || {
        let groups = store.groups().await.expect("they can be told");
        groups.iter().map(|group| (group.name.clone(), group.lag(), group.open, group.parked)).collect::<Vec<_>>()
    };
    while settled().await != [("shipping".to_owned(), 0, 0, 0)] {
        seen.extend(receiver.try_iter());
        sleep(Duration::from_millis(5)).await;
    }
}
