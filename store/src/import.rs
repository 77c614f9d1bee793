//! Recording what was recorded elsewhere: with its ids, versions and times.

use std::collections::{HashMap, hash_map::Entry};

use annalist_core::{
    Append, AppendError, Cursor, EventId, EventStore as _, Expected, NewEvent, Position, Query, Read, StoreError,
    StreamId, Timestamp, Version,
};

use crate::{clock, store::Store};

/// An event as another store recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its version there.
    pub version: Version,
    /// When it was recorded.
    pub time: Timestamp,
    /// The event, with its id.
    pub event: NewEvent,
}

/// What became of events that were to be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many were recorded.
    pub recorded: u64,
    /// How many were there already, under the same id and version.
    pub present: u64,
    /// The head of the log then.
    pub head: Cursor,
}

/// Why nothing was recorded of these events. `at` says which one is the reason, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Versions would be missing. Import the whole stream, in order.
    #[error(
        "this is version {version} of stream `{stream}`, which ends at {head} here: versions are never left out; import the \
         stream from version {} on, in order", .head.next()
    )]
    Gap {
        /// Which event.
        at: usize,
        /// Its stream.
        stream: StreamId,
        /// Its version.
        version: Version,
        /// The last version that is there.
        head: Version,
    },
    /// Another event stands there. The stream went another way here; import into another store.
    #[error(
        "version {version} of stream `{stream}` is another event here ({there}): the stream went another way; import into \
         another store"
    )]
    Taken {
        /// Which event.
        at: usize,
        /// Its stream.
        stream: StreamId,
        /// Its version.
        version: Version,
        /// The event that is there.
        there: EventId,
    },
    /// Times of the log never decrease, and never lie ahead. Import into a store whose events are older.
    #[error(
        "this was recorded at {time}, outside of what may follow here ({after} to now): times never decrease from one event to \
         the next; import in the order of time, into a store whose events are older"
    )]
    Time {
        /// Which event.
        at: usize,
        /// Its time.
        time: Timestamp,
        /// The time of the event before it.
        after: Timestamp,
    },
    /// The store refused, for another reason.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl ImportError {
    /// Which event is the reason, from 0, if it is one.
    #[must_use]
    pub const fn at(&self) -> Option<usize> {
        match self {
            Self::Gap { at, .. } | Self::Taken { at, .. } | Self::Time { at, .. } => Some(*at),
            Self::Append(_) => None,
        }
    }
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Append(error.into())
    }
}

/// Where a stream ends: in the log, and with what is about to be recorded.
struct Head {
    stored: Version,
    staged: Version,
}

impl Store {
    /// Records events with the ids, versions and times that they have, all that are not there yet or none. What is there
    /// already is passed over, so an import that was interrupted is simply run again.
    ///
    /// They come in the order in which they were recorded. Versions of each stream go on where it ends here; times begin at or
    /// after that of the log's last event, never decrease, and do not lie ahead of the clock, which from then on gives none
    /// before them. All limits of an append hold for the events together.
    ///
    /// # Errors
    /// [`ImportError`] says which event cannot be recorded as it is, and what to do. Nothing is recorded then.
    pub async fn import(&self, events: &[PastEvent]) -> Result<Imported, ImportError> {
        let mut heads: HashMap<&StreamId, Head> = HashMap::new();
        let mut new = Vec::new();
        for (at, PastEvent { stream, version, event, .. }) in events.iter().enumerate() {
            let version = *version;
            let head = match heads.entry(stream) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let stored = self.end_of(stream).await?;
                    unknown.insert(Head { stored, staged: stored })
                }
            };
            if version > head.staged.next() || version == Version::ZERO {
                return Err(ImportError::Gap { at, stream: stream.clone(), version, head: head.staged });
            }
            if version == head.staged.next() {
                head.staged = version;
                new.push(at);
                continue;
            }
            let there = if version <= head.stored {
                self.id_of(stream, version).await?
            } else {
                let earlier = events.iter().take(at).find(|other| other.stream == *stream && other.version == version);
                earlier.map(|earlier| earlier.event.id)
            };
            if let Some(there) = there.filter(|there| *there != event.id) {
                return Err(ImportError::Taken { at, stream: stream.clone(), version, there });
            }
        }
        let (recorded, present) = (new.len() as u64, (events.len() - new.len()) as u64);
        if new.is_empty() {
            return Ok(Imported { recorded, present, head: self.head().await? });
        }
        let new: Vec<(usize, &PastEvent)> = new.into_iter().filter_map(|at| Some((at, events.get(at)?))).collect();
        self.check_times(&new).await?;
        let mut append = Append::new();
        for run in new.chunk_by(|(_, a), (_, b)| a.stream == b.stream) {
            if let Some((_, first)) = run.first() {
                let expected = Expected::Exact(first.version.previous());
                append = append.events(first.stream.clone(), expected, run.iter().map(|(_, past)| past.event.clone()));
            }
        }
        let times = new.iter().map(|(_, past)| past.time).collect();
        let head = self.append_past(append, times).await?.cursor;
        Ok(Imported { recorded, present, head })
    }

    async fn end_of(&self, stream: &StreamId) -> Result<Version, StoreError> {
        let mut last = self.read(Read::stream_backward(stream.clone(), Version::MAX).limit(1)).await?;
        Ok(last.next().await?.first().map_or(Version::ZERO, |event| event.version))
    }

    async fn id_of(&self, stream: &StreamId, version: Version) -> Result<Option<EventId>, StoreError> {
        let mut events = self.read(Read::stream(stream.clone(), version.previous()).limit(1)).await?;
        Ok(events.next().await?.first().map(|event| event.id))
    }

    async fn check_times(&self, new: &[(usize, &PastEvent)]) -> Result<(), ImportError> {
        let mut last = self.read(Read::query_backward(Query::all(), Position::MAX).limit(1)).await?;
        let mut after = last.next().await?.first().map_or_else(Timestamp::default, |event| event.time);
        let now = clock::present();
        for (at, PastEvent { time, .. }) in new {
            if *time < after || *time > now {
                return Err(ImportError::Time { at: *at, time: *time, after });
            }
            after = *time;
        }
        Ok(())
    }
}
