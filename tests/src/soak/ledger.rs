//! What was acknowledged, and what somebody saw of it.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use annalist_core::{RecordedEvent, StreamId};

use super::{CATEGORIES, Wrong};

/// How many appends of each writer were acknowledged.
pub(super) struct Ledger(Vec<AtomicU64>);

/// The same, once it does not change any more.
#[derive(Debug)]
pub(super) struct Goal(Vec<u64>);

/// The name of a category.
pub(super) fn category(number: usize) -> String {
    format!("soak{number}")
}

/// The stream of a writer.
pub(super) fn stream(writer: usize) -> String {
    format!("{}-{writer}", category(writer % CATEGORIES))
}

/// The same as a stream.
pub(super) fn stream_id(writer: usize) -> StreamId {
    StreamId::new(stream(writer)).expect("letters and digits")
}

/// What a writer's event says: which it is, and something to carry.
pub(super) fn payload(stream: &str, version: u64) -> String {
    format!("{stream} {version} {}", "x".repeat(160))
}

impl Ledger {
    pub(super) fn new(writers: usize) -> Self {
        Self((0..writers).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn writers(&self) -> usize {
        self.0.len()
    }

    pub(super) fn acknowledged(&self, writer: usize) -> u64 {
        self.0.get(writer).map_or(0, |count| count.load(Ordering::Acquire))
    }

    pub(super) fn acknowledge(&self, writer: usize) {
        if let Some(count) = self.0.get(writer) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    /// As it is now.
    pub(super) fn goal(&self) -> Goal {
        Goal((0..self.writers()).map(|writer| self.acknowledged(writer)).collect())
    }
}

impl Goal {
    fn streams(&self, of: Option<usize>) -> impl Iterator<Item = (usize, u64)> {
        let is_of = move |writer: usize| of.is_none_or(|category| writer % CATEGORIES == category);
        self.0.iter().copied().enumerate().filter(move |(writer, _)| is_of(*writer))
    }

    /// How many events there are, of a category or all.
    pub(super) fn events(&self, of: Option<usize>) -> u64 {
        self.streams(of).map(|(_, count)| count).sum()
    }

    /// Whether every stream was seen to its end, and no further.
    pub(super) fn is_met_by(&self, seen: &InOrder, of: Option<usize>) -> Result<(), Wrong> {
        for (writer, count) in self.streams(of) {
            let stream = stream(writer);
            let found = seen.next.get(&stream).map_or(0, |next| next - 1);
            if found != count {
                return Err(format!("{found} events of {stream} were seen, and {count} acknowledged"));
            }
        }
        Ok(())
    }
}

/// Sees that the events of a query come once and in order.
#[derive(Default, Debug)]
pub(super) struct InOrder {
    next: HashMap<String, u64>,
    position: u64,
    count: u64,
}

impl InOrder {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn see(&mut self, event: &RecordedEvent) -> Result<(), Wrong> {
        let (stream, version, position) = (event.stream(), event.version.get(), event.position.get());
        if position <= self.position {
            return Err(format!("position {position} came behind {}", self.position));
        }
        self.position = position;
        if event.is_system() {
            return Ok(());
        }
        is_right(event)?;
        let next = self.next.entry(stream.to_owned()).or_insert(1);
        if version != *next {
            return Err(format!("version {version} of {stream} came where {next} was to come"));
        }
        *next += 1;
        self.count += 1;
        Ok(())
    }
}

/// Whether an event says what was written there.
pub(super) fn is_right(event: &RecordedEvent) -> Result<(), Wrong> {
    let (stream, version) = (event.stream(), event.version.get());
    if event.payload() == payload(stream, version).as_bytes() {
        return Ok(());
    }
    Err(format!("version {version} of {stream} is not what was written: {:?}", event.payload_bytes()))
}
