//! Recording what was recorded elsewhere: with its ids, versions and times.

use std::collections::{HashMap, hash_map::Entry};

use annalist_core::{
    Append, EventId, EventStore as _, Expected, ImportError, Imported, PastEvent, Position, Query, Read, StoreError,
    StreamId, Timestamp, Version,
};

use crate::{clock, store::Store};

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
