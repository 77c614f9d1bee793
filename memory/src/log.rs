//! The log as plain data, and the rules of appending.

use std::collections::HashMap;

use annalist_core::{
    Append, AppendError, Appended, ContentType, Cursor, EventId, EventType, Fingerprint, Key, NewEvent, Outcome,
    Position, Query, RecordedEvent, Statistics, StoreError, StreamId, Timestamp, Version, body_len,
};
use bytes::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

/// Everything that was recorded.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: Vec<RecordedEvent>,
    /// The positions of each stream's events, by version.
    streams: HashMap<StreamId, Vec<Position>>,
    keys: HashMap<Key, Outcome>,
    bytes: u64,
    time: Timestamp,
    /// Tells subscriptions of the head; dropping it tells them that the store is closed.
    announce: watch::Sender<Position>,
}

impl Log {
    pub(crate) fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    pub(crate) fn event(&self, position: Position) -> Option<&RecordedEvent> {
        self.events.get(usize::try_from(position.get().checked_sub(1)?).ok()?)
    }

    pub(crate) fn stream(&self, stream: &StreamId) -> &[Position] {
        self.streams.get(stream).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn outcome(&self, key: &Key) -> Option<&Outcome> {
        self.keys.get(key)
    }

    /// The events behind `after` that match a query, in order.
    pub(crate) fn matching(&self, query: &Query, after: Position) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let behind = self.events.get(usize::try_from(after.get()).unwrap_or(usize::MAX)..).unwrap_or_default();
        behind.iter().filter(|event| query.matches(event))
    }

    pub(crate) fn position_before(&self, time: Timestamp) -> Position {
        Position::new(self.events.partition_point(|event| event.time < time) as u64)
    }

    pub(crate) fn statistics(&self, origin: Cursor) -> Statistics {
        let mut statistics = Statistics::at(origin.at(self.head()));
        statistics.streams = self.streams.len() as u64;
        statistics.event_bytes = self.bytes;
        statistics
    }

    pub(crate) fn announcements(&self) -> watch::Receiver<Position> {
        self.announce.subscribe()
    }

    /// Records an append that passed [`Append::check`], or says why not.
    pub(crate) fn append(&mut self, append: Append, origin: Cursor, now: Timestamp) -> Result<Appended, AppendError> {
        if let Some(keyed) = &append.keyed
            && let Some(outcome) = self.keys.get(&keyed.key)
        {
            return repetition(&keyed.key, keyed.fingerprint, outcome);
        }
        self.check(&append)?;
        self.check_conditions(&append, origin)?;
        self.time = self.time.max(now);
        let after = self.head();
        let mut streams: Vec<(StreamId, Version)> = Vec::new();
        for entry in &append.entries {
            for event in &entry.events {
                let version = self.record(&entry.stream, event);
                match streams.iter_mut().find(|(stream, _)| *stream == entry.stream) {
                    Some((_, last)) => *last = version,
                    None => streams.push((entry.stream.clone(), version)),
                }
            }
        }
        if let (Some(keyed), true) = (&append.keyed, streams.is_empty()) {
            let version = self.record(&StreamId::system(), &system_event(&keyed.key, origin));
            streams.push((StreamId::system(), version));
        }
        let appended = Appended { after, cursor: origin.at(self.head()), streams, repeated: false };
        if let Some(keyed) = append.keyed {
            let repeated = Appended { repeated: true, ..appended.clone() };
            let outcome = Outcome { fingerprint: keyed.fingerprint, reply: keyed.reply, appended: repeated };
            self.keys.insert(keyed.key, outcome);
        }
        if after < self.head() {
            self.announce.send_replace(self.head());
        }
        Ok(appended)
    }

    /// Whether every entry's stream is as expected, the entries before it included.
    fn check(&self, append: &Append) -> Result<(), AppendError> {
        let mut versions: HashMap<&StreamId, Version> = HashMap::new();
        for entry in &append.entries {
            let version = versions.entry(&entry.stream).or_insert_with(|| self.version(&entry.stream));
            if !entry.expected.holds(*version) {
                let (stream, expected, actual) = (entry.stream.clone(), entry.expected, *version);
                return Err(AppendError::Conflict { stream, expected, actual });
            }
            *version = Version::new(version.get() + entry.events.len() as u64);
        }
        Ok(())
    }

    /// Whether nothing that a condition forbids is there.
    fn check_conditions(&self, append: &Append, origin: Cursor) -> Result<(), AppendError> {
        let head = origin.at(self.head());
        for (number, condition) in (1..).zip(&append.conditions) {
            if !condition.after.fits(&head) {
                return Err(StoreError::ForeignCursor { cursor: condition.after, head }.into());
            }
            if let Some(found) = self.matching(&condition.query, condition.after()).next() {
                let query = condition.query.clone();
                return Err(AppendError::ConditionFailed { number, query, first: found.position });
            }
        }
        Ok(())
    }

    fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.stream(stream).len() as u64)
    }

    fn record(&mut self, stream: &StreamId, event: &NewEvent) -> Version {
        let (position, version) = (self.head().next(), self.version(stream).next());
        self.events.push(RecordedEvent::record(stream, event, position, version, self.time));
        self.bytes += body_len(stream, event) as u64;
        self.streams.entry(stream.clone()).or_default().push(position);
        version
    }
}

fn repetition(key: &Key, fingerprint: Fingerprint, outcome: &Outcome) -> Result<Appended, AppendError> {
    if outcome.fingerprint == fingerprint {
        Ok(outcome.appended.clone())
    } else {
        Err(AppendError::KeyReused { key: key.clone() })
    }
}

/// The event that stands for a keyed commit without events. Its id derives from the store and the key, whose parts are
/// kept apart by a character that names cannot hold.
fn system_event(key: &Key, origin: Cursor) -> NewEvent {
    let name = format!("{}\0{}", key.scope(), key.id());
    let id = EventId::new(Uuid::new_v5(&origin.store.uuid(), name.as_bytes()));
    NewEvent::new(id, EventType::system(), Bytes::new()).with_content_type(ContentType::BYTES)
}
