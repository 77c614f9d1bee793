//! One window: some pages of the log, and what the index should have of them.

use annalist_core::{Key, Position, RecordedEvent, Version};

use super::Verifier;
use crate::{
    format::{Item, KeyRow, Kind, Page, Totals},
    limits,
    rocks::{ReadError, Tier},
    shared::Shared,
    tail::Generation,
};

/// See the module.
pub(super) struct Window<'a> {
    verifier: &'a mut Verifier,
    places: Option<Generation>,
    /// The key of the commit whose first record comes next.
    key: Option<(Key, KeyRow)>,
}

impl<'a> Window<'a> {
    pub(super) fn new(verifier: &'a mut Verifier) -> Self {
        Self { verifier, places: None, key: None }
    }

    /// Reads pages until the window is full, the head is reached, or something is damaged: a new window begins with that.
    pub(super) fn read(&mut self, shared: &Shared) {
        let (begin, head) = (self.verifier.report.through.next(), self.verifier.report.head);
        shared.visit_pages(begin, |found| {
            let more = match found {
                Ok(page) if page.first() > head => false,
                Ok(page) => self.page(&page, begin),
                Err((at, error)) => self.damage(at.max(begin), at.max(begin), &error.to_string()),
            };
            more && self.verifier.report.through < head
        });
        if self.places.is_some() {
            return;
        }
        // No page could be read from here on.
        if !self.verifier.behind_damage && self.verifier.report.through < head {
            self.verifier.log(self.verifier.report.through.next(), "the log ends before events that are durable");
        }
        self.verifier.behind_damage = false;
        self.verifier.report.through = head;
    }

    /// What the index should have; nothing if no page could be read.
    pub(super) fn finish(self) -> Option<Generation> {
        self.places
    }

    /// Notes damage, unless a window is to end before it. Returns whether the window goes on.
    fn damage(&mut self, first: Position, at: Position, detail: &str) -> bool {
        if self.places.is_some() {
            return false;
        }
        self.verifier.log(at, detail);
        self.verifier.checksum = None;
        self.verifier.behind_damage = true;
        self.verifier.report.through = first.max(self.verifier.report.through);
        true
    }

    /// Returns whether the window goes on.
    fn page(&mut self, page: &Page, begin: Position) -> bool {
        if let Err(damage) = page.require_sound() {
            return self.damage(page.first(), damage.position, damage.detail);
        }
        if page.last() < begin {
            return true;
        }
        let before = page.first().previous();
        // Below `begin` lies only the first part of a page that a caller began in the middle of.
        let is_entry = self.places.is_none() && page.first() < begin;
        if self.verifier.behind_damage {
            self.verifier.behind_damage = false;
            self.verifier.report.through = before;
        } else if !is_entry && self.verifier.report.through != before {
            if self.places.is_some() {
                return false;
            }
            self.verifier
                .log(self.verifier.report.through.next(), format!("events are missing up to position {before}"));
            self.verifier.checksum = None;
        }
        self.verifier.report.pages += 1;
        if self.verifier.checksum.is_some_and(|before| !is_entry && before != page.previous_checksum()) {
            self.verifier
                .log(page.first(), "a page does not follow the one before it: one of them is from another log");
        }
        self.verifier.checksum = Some(page.checksum());
        if let Err((position, detail)) = self.items(page) {
            self.verifier.log(position, detail);
        }
        self.verifier.report.through = page.last();
        self.places.as_ref().is_some_and(|places| places.event_count() < limits::VERIFY_WINDOW_EVENTS)
    }

    fn items(&mut self, page: &Page) -> Result<(), (Position, String)> {
        for item in page.items() {
            match item.map_err(|damage| (damage.position, damage.detail.to_owned()))? {
                Item::Frame(frame) => {
                    let Some(keyed) = frame.keyed else { continue };
                    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
                    let key = text(&keyed.scope).zip(text(&keyed.id)).and_then(|(scope, id)| Key::new(scope, id).ok());
                    let key = key.ok_or_else(|| (page.first(), "the key of a commit is malformed".to_owned()))?;
                    let (fingerprint, count) = (keyed.fingerprint, frame.count);
                    self.key = Some((key, KeyRow { fingerprint, first: Position::ZERO, count, slot: 0 }));
                }
                Item::Record(record) => self.record(&record, page)?,
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &RecordedEvent, page: &Page) -> Result<(), (Position, String)> {
        let floor = page.first().previous();
        let places = self.places.get_or_insert_with(|| Generation::behind(floor, Totals::default()));
        let slot = u32::try_from(record.position.get() - page.first().get()).unwrap_or(u32::MAX);
        let place = &[(record.position, slot)];
        let before = places.head(record.stream(), Position::MAX);
        if before.is_some_and(|before| record.version != before.next()) {
            let (stream, version) = (record.stream(), record.version);
            let before = before.unwrap_or(Version::ZERO);
            return Err((record.position, format!("stream `{stream}` goes from version {before} to {version}")));
        }
        let counted = &mut self.verifier.counted;
        let mut add = |kind: Kind, name: &str| {
            counted.add(kind, record.position, 1);
            if kind != Kind::Stream {
                places.add_to_list(kind, name, place);
            }
        };
        add(Kind::Stream, record.stream());
        add(Kind::Category, record.category());
        add(Kind::Type, record.type_name());
        for (at, tag) in record.tags().enumerate() {
            if !record.tags().take(at).any(|earlier| earlier == tag) {
                add(Kind::Tag, tag);
            }
        }
        places.add_events(record.stream(), record.version, place, 0);
        if let Some((key, row)) = self.key.take() {
            let row = KeyRow { first: record.position, slot, ..row };
            counted.add_key(row.last());
            places.add_key(key, row);
        }
        Ok(())
    }
}

impl Verifier {
    /// Compares what the log says of a window with what queries are answered.
    pub(super) fn compare(&mut self, shared: &Shared, window: &Generation) -> Result<(), ReadError> {
        let (floor, through) = (window.floor(), self.report.through);
        let (_, view) = shared.durable_view();
        let (index, range) = (&shared.index, (floor.next(), through));
        let mut failed = None;
        window.for_each_list(|kind, name, first, places| {
            let at = places.first().map_or(floor, |(position, _)| *position);
            let mut found = Vec::new();
            if kind == Kind::Stream {
                match view.head(index, name, floor, Tier::Disk) {
                    Ok(head) if head.next() == first => {}
                    Ok(head) => self.log(at, format!("stream `{name}` goes from version {head} to {first}")),
                    Err(error) => failed = self.not_read(error).err().or(failed.take()),
                }
            }
            let read = view.places_forward(Some((index, Tier::Disk)), (kind, name), range, usize::MAX, &mut found);
            match read {
                Err(error) => failed = self.not_read(error).err().or(failed.take()),
                Ok(()) if found == places => {}
                Ok(()) => {
                    let wrong = places.iter().zip(&found).find(|(a, b)| a != b).map(|(place, _)| place.0);
                    let wrong = wrong.or_else(|| Some(places.get(found.len())?.0)).unwrap_or(at);
                    self.index(wrong, format!("the index has other places for {kind:?} `{name}` than the log"));
                }
            }
        });
        window.for_each_key(|key, row| match view.key(index, key, Position::MAX, Tier::Disk) {
            Ok(found) if found == Some(*row) => {}
            // A commit that goes on behind the head is not durable yet.
            Ok(None) if row.last() > self.report.head => {}
            Ok(_) => self.index(row.first, format!("the index does not have the key `{key}` as the log has it")),
            Err(error) => failed = self.not_read(error).err().or(failed.take()),
        });
        failed.map_or(Ok(()), Err)
    }

    /// A damaged index is a finding; what else keeps it from being read ends the verification.
    fn not_read(&mut self, error: ReadError) -> Result<(), ReadError> {
        match error {
            ReadError::Damaged(damage) => self.index(damage.position, damage.detail),
            ReadError::Engine(error) if error.kind() == rocksdb::ErrorKind::Corruption => {
                self.index(Position::ZERO, error.into_string());
            }
            other => return Err(other),
        }
        Ok(())
    }
}
