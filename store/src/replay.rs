//! Pages of the log fed into generations, as the sequencer does with what it stages: by recovery, and by those who follow a store.

use std::sync::Arc;

use annalist_core::{Fingerprint, Key, Position, RecordedEvent, Timestamp};

use crate::{
    format::{Damage, Item, KeyRow, Kind, Mark, Page, Totals},
    limits,
    rocks::ReadError,
    tail::{Generation, Seal},
};

/// See the module.
pub(crate) struct Replay {
    generation: Arc<Generation>,
    last: Position,
    checksum: u32,
    time: Timestamp,
    /// The key of the commit whose first record comes next.
    key: Option<(Key, Fingerprint, u32)>,
    /// The events that the commit in progress still has.
    left: u32,
}

impl Replay {
    /// Goes on behind the mark of an index.
    pub(crate) fn behind(mark: &Mark) -> Self {
        Self {
            generation: Arc::new(Generation::behind(mark.position, mark.totals)),
            last: mark.position,
            checksum: mark.checksum,
            time: Timestamp::default(),
            key: None,
            left: 0,
        }
    }

    /// What was replayed since the mark, or since a generation was taken.
    pub(crate) const fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// What the log holds up to the last page.
    pub(crate) fn totals(&self) -> Totals {
        self.generation.totals()
    }

    /// Whether the last page ends where a commit does.
    pub(crate) const fn is_between_commits(&self) -> bool {
        self.left == 0
    }

    /// The end of the last page.
    pub(crate) const fn last(&self) -> Position {
        self.last
    }

    /// The checksum of the last page.
    pub(crate) const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// When the last event was recorded, if one was replayed.
    pub(crate) const fn time(&self) -> Timestamp {
        self.time
    }

    /// Adds the page that comes next.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] if it is not whole or not the one that comes next.
    pub(crate) fn add(&mut self, page: &Page) -> Result<(), ReadError> {
        page.require_sound()?;
        if page.first() != self.last.next() || page.previous_checksum() != self.checksum {
            let detail = "a page does not follow the one before it: pages are missing or from another log";
            return Err(Damage { position: page.first(), detail }.into());
        }
        for item in page.items() {
            match item? {
                Item::Frame(frame) => {
                    self.left = frame.count;
                    self.key = match frame.keyed {
                        None => None,
                        Some(keyed) => {
                            Some((read_key(&keyed.scope, &keyed.id, self.last)?, keyed.fingerprint, frame.count))
                        }
                    };
                }
                Item::Record(record) => {
                    let slot = u32::try_from(record.position.get() - page.first().get()).unwrap_or(u32::MAX);
                    if let Some((key, fingerprint, count)) = self.key.take() {
                        self.generation.add_key(key, KeyRow { fingerprint, first: record.position, count, slot });
                    }
                    self.index(&record, slot);
                    self.time = record.time;
                    self.last = record.position;
                    self.left = self.left.saturating_sub(1);
                }
            }
        }
        self.checksum = page.checksum();
        Ok(())
    }

    fn index(&self, record: &RecordedEvent, slot: u32) {
        let places = &[(record.position, slot)];
        let generation = &self.generation;
        generation.add_events(record.stream(), record.version, places, record.body_bytes() as u64);
        generation.add_to_list(Kind::Category, record.category(), places);
        generation.add_to_list(Kind::Type, record.type_name(), places);
        for (at, tag) in record.tags().enumerate() {
            if !record.tags().take(at).any(|earlier| earlier == tag) {
                generation.add_to_list(Kind::Tag, tag, places);
            }
        }
    }

    /// Ends the generation if it has this many events, or names of many bytes, and begins another one. A generation ends only where
    /// a commit does.
    pub(crate) fn take_full(&mut self, chunk_events: usize) -> Option<(Arc<Generation>, Seal)> {
        let full = self.generation.event_count() >= chunk_events
            || self.generation.byte_count() >= limits::GENERATION_BYTES_MAX;
        if !full || self.left > 0 {
            return None;
        }
        let seal = Seal { position: self.last, checksum: self.checksum };
        let next = Arc::new(Generation::behind(self.last, self.generation.totals()));
        let full = std::mem::replace(&mut self.generation, next);
        full.freeze(seal);
        Some((full, seal))
    }
}

fn read_key(scope: &[u8], id: &[u8], after: Position) -> Result<Key, ReadError> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let key = text(scope).zip(text(id)).and_then(|(scope, id)| Key::new(scope, id).ok());
    key.ok_or_else(|| Damage { position: after.next(), detail: "the key of a commit is malformed" }.into())
}
