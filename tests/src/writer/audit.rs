//! A child process that writes, and the audit of what it left.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use annalist_core::{EventStore, Key, Position, Read, RecordedEvent, StreamId, Version};

/// What one child said: (key, first position, last position).
pub(crate) type Ack = (String, u64, u64);

/// A running child and its lines.
pub(crate) struct Writer {
    /// The process.
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Starts `crash_writer` and waits until it has the store open.
    pub(crate) fn start(command: &mut Command, dir: &Path, round: &str, more: &[&str]) -> Self {
        let mut child =
            command.arg(dir).arg(round).args(more).stdout(Stdio::piped()).spawn().expect("the writer starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let first = lines.next().map(|line| line.expect("its output is text"));
        assert_eq!(first.as_deref(), Some("open"), "the writer opens the store");
        Self { child, lines }
    }

    /// The command of the writer, for [`Writer::start`].
    pub(crate) fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_crash_writer"))
    }

    /// The next line, if the child says another.
    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines.next().and_then(Result::ok)
    }

    /// Every whole line that is left once the child is gone.
    pub(crate) fn rest(mut self) -> Vec<String> {
        let _ = self.child.wait();
        self.lines.map_while(Result::ok).collect()
    }
}

/// Reads `ack` lines.
pub(crate) fn ack(line: &str) -> Option<Ack> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let ack = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(ack)
}

/// All events, in order.
pub(crate) async fn everything(store: &impl EventStore) -> Vec<RecordedEvent> {
    let mut read = store.read(Read::all(Position::ZERO)).await.expect("the log can be read");
    let mut events = Vec::new();
    loop {
        let batch = read.next().await.expect("the log is sound");
        if batch.is_empty() {
            return events;
        }
        events.extend(batch);
    }
}

/// The key that an event's payload names.
fn key_of(event: &RecordedEvent) -> String {
    let payload: serde_json::Value = serde_json::from_slice(event.payload()).expect("payloads are JSON");
    payload.get("key").and_then(|key| key.as_str()).expect("payloads name their key").to_owned()
}

/// Checks everything that must hold after any crash: positions dense, versions contiguous, time in order, every
/// acknowledged append there with its key remembered, each append whole, index and log of one mind. Returns the head.
pub(crate) async fn audit(store: &impl EventStore, acks: &HashMap<String, (u64, u64)>) -> u64 {
    let events = everything(store).await;
    let head = store.head().await.expect("the head is known").position.get();
    assert_eq!(events.len() as u64, head, "the log holds every position up to its head");
    let mut streams: BTreeMap<String, Vec<&RecordedEvent>> = BTreeMap::new();
    let mut commits: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position.get(), position, "positions are dense");
        let stream = streams.entry(event.stream().to_owned()).or_default();
        stream.push(event);
        assert_eq!(event.version.get(), stream.len() as u64, "versions of {} are contiguous", event.stream());
        let commit = commits.entry(key_of(event)).or_insert((position, position));
        assert!(position - commit.1 <= 1, "the events of one append stand together");
        commit.1 = position;
    }
    assert!(events.is_sorted_by_key(|event| event.time), "time does not go backwards");
    for (key, places) in acks {
        assert_eq!(commits.get(key), Some(places), "the acknowledged append {key} is there");
    }
    for (key, (first, last)) in &commits {
        let number: u64 = key.rsplit('-').next().and_then(|number| number.parse().ok()).expect("keys end in a number");
        let expected = number % 3 + 1 + u64::from(number.is_multiple_of(4));
        assert_eq!(last - first + 1, expected, "the append {key} is whole");
        let outcome = store.outcome(&Key::new("crash", key.as_str()).expect("a key")).await.expect("keys can be read");
        let outcome = outcome.unwrap_or_else(|| panic!("the key {key} is remembered"));
        assert_eq!(outcome.reply, key.as_bytes(), "with its reply");
        assert_eq!((outcome.appended.after.next().get(), outcome.appended.cursor.position.get()), (*first, *last));
    }
    for (stream, expected) in streams {
        let stream = StreamId::new(stream).expect("a recorded name");
        let mut read = store.read(Read::stream(stream.clone(), Version::ZERO)).await.expect("streams can be read");
        let mut found = Vec::new();
        loop {
            let batch = read.next().await.expect("the index is sound");
            if batch.is_empty() {
                break;
            }
            found.extend(batch);
        }
        assert!(found.iter().eq(expected.iter().copied()), "the index and the log agree on {stream}");
    }
    head
}
