//! Staging: checking an append against what happened since its caller looked, and giving it its place.

use std::sync::Arc;

use annalist_core::{
    Append, AppendError, ContentType, EventId, EventType, Invalid, Keyed, NewEvent, Position, SYSTEM_STREAM, StreamId,
    Timestamp, Version, body_len,
};
use bytes::Bytes;
use uuid::Uuid;

use super::{Answer, Answered, Answers, Call, Group, Request};
use crate::{
    clock::Clock,
    format::{KeyRow, Kind, PageBuilder, Place},
    limits,
    options::Durability,
    search::{Scope, first_match},
    shared::Shared,
    tail::{Generation, Seal, View},
};

/// Where the log ends when the store opens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) last: Position,
    pub(crate) checksum: u32,
    pub(crate) time: Timestamp,
}

/// The group in progress and everything that decides about it. Only the sequencer's thread has it.
pub(crate) struct Stage {
    shared: Arc<Shared>,
    /// The same view as the shared one, or a later one: only this thread adds generations.
    view: Arc<View>,
    pages: PageBuilder,
    clock: Clock,
    last: Position,
    group: Group,
    /// Where the events of an entry stand, while it is being staged.
    places: Vec<Place>,
}

impl Stage {
    pub(crate) fn new(shared: Arc<Shared>, start: Start) -> Self {
        Self {
            view: shared.view.load_full(),
            pages: PageBuilder::after(start.checksum, shared.options.page_bytes),
            clock: Clock::after(start.time),
            last: start.last,
            group: Group::default(),
            places: Vec::new(),
            shared,
        }
    }

    pub(crate) const fn group(&self) -> &Group {
        &self.group
    }

    /// Checks an append and stages it, or notes what it will be answered.
    pub(crate) fn add(&mut self, call: Call) {
        let Call { mut request, answer: caller } = call;
        if caller.is_closed() {
            return;
        }
        let view = self.shared.view.load();
        if !Arc::ptr_eq(&view, &self.view) {
            self.view = Arc::clone(&view);
        }
        let answer = match self.check(&mut request) {
            Ok(()) => {
                self.group.bytes += request.bytes;
                self.record(&mut request)
            }
            Err(answer) => answer,
        };
        self.group.answers.push((caller, Answered { request, answer, others: Answers::default() }));
    }

    /// Puts the present version of each entry's stream, before the entry, into `heads`; or says what stands against it.
    fn check(&self, request: &mut Request) -> Result<(), Answer> {
        let Request { append, heads, seen, times, .. } = request;
        if let Some(poisoned) = self.shared.poisoned() {
            return Err(Answer::Refused(poisoned));
        }
        if *seen < self.view.mark() {
            return Err(Answer::Stale);
        }
        if let Some(why) = self.index_is_stuck() {
            return Err(Answer::Refused(AppendError::Unavailable { why }));
        }
        if let Some(first) = times.as_ref().and_then(|times| times.first()).filter(|first| **first < self.clock.last())
        {
            let why = format!("{first} is before the last event's time, {}: times never decrease", self.clock.last());
            return Err(Answer::Refused(Invalid::Other { why }.into()));
        }
        if let Some(keyed) = &append.keyed
            && let Some(row) = self.view.staged_key(&keyed.key)
        {
            return Err(repetition(keyed, row));
        }
        for (at, entry) in append.entries.iter().enumerate() {
            let (before, heads) = {
                let at = at.min(heads.len());
                heads.split_at_mut(at)
            };
            let Some(head) = heads.first_mut() else { break };
            let earlier = append.entries.iter().zip(before).rev().find(|(earlier, _)| earlier.stream == entry.stream);
            let own = earlier.map(|(earlier, version)| Version::new(version.get() + earlier.events.len() as u64));
            let actual = own.or_else(|| self.view.staged_head(entry.stream.as_str())).unwrap_or(*head);
            if !entry.expected.holds(actual) {
                let (stream, expected) = (entry.stream.clone(), entry.expected);
                return Err(Answer::Refused(AppendError::Conflict { stream, expected, actual }));
            }
            *head = actual;
        }
        for (number, condition) in (1..).zip(&append.conditions) {
            let range = (condition.after().max(*seen).next(), self.last);
            let refusal = match first_match(Scope { view: &self.view, disk: None, range }, &condition.query) {
                Ok(None) => continue,
                Ok(Some(first)) => AppendError::ConditionFailed { number, query: condition.query.clone(), first },
                Err(error) => AppendError::Store(error.into_store_error()),
            };
            return Err(Answer::Refused(refusal));
        }
        if let Some(head) = heads.get_mut(append.entries.len()) {
            *head = self.view.staged_head(SYSTEM_STREAM).unwrap_or(*head);
        }
        Ok(())
    }

    /// The tail is bounded: if the index cannot be written, appends end when it is full.
    fn index_is_stuck(&self) -> Option<String> {
        let why = self.shared.index_failure()?;
        (self.view.frozen_count() >= limits::FROZEN_GENERATIONS_MAX)
            .then(|| format!("the index cannot be written: {why}"))
    }

    /// Gives the events their places, in the pages and in memory.
    fn record(&mut self, request: &mut Request) -> Answer {
        let Request { append, heads, streams, bytes, times, .. } = request;
        let after = self.last;
        let events = append.event_count();
        if events == 0 && append.keyed.is_none() {
            return Answer::Recorded { after, last: after };
        }
        let mut times = times.as_deref().unwrap_or_default().iter();
        let time = match times.as_slice().last() {
            Some(last) => self.clock.go_on_from(*last),
            None => self.clock.now(),
        };
        // Recovery takes a page at its word: what was not synced must not be called so.
        let synced = match self.shared.options.durability {
            Durability::PowerLoss => self.shared.watermark(),
            Durability::ProcessCrash => Position::ZERO,
        };
        let reply = append.keyed.as_ref().map_or(0, |keyed| keyed.reply.len());
        let mut event_bytes = (*bytes - reply) as u64;
        let count = u32::try_from(events.max(1)).unwrap_or(u32::MAX);
        let full = self.pages.frame(append, count, self.last.next(), synced);
        self.group.pages.extend(full);
        let mut first_slot = None;
        for (entry, before) in append.entries.iter().zip(heads.iter()) {
            let mut version = *before;
            self.places.clear();
            for event in &entry.events {
                version = version.next();
                let time = times.next().copied().unwrap_or(time);
                let place = self.place(&entry.stream, event, version, time, synced, first_slot.is_none());
                first_slot.get_or_insert(place.1);
                self.places.push(place);
            }
            // What the append has in bytes is counted with its first events.
            if !entry.events.is_empty() {
                self.add_to_lists(&entry.stream, before.next(), &entry.events, std::mem::take(&mut event_bytes));
            }
            match streams.iter_mut().find(|(stream, _)| *stream == entry.stream) {
                Some((_, last)) => *last = version,
                None if version > *before => streams.push((entry.stream.clone(), version)),
                None => {}
            }
        }
        if events == 0 {
            let (stream, event) = (StreamId::system(), self.system_event(append));
            let version = heads.last().map_or(Version::ZERO, |head| head.next());
            let place = self.place(&stream, &event, version, time, synced, true);
            first_slot = Some(place.1);
            self.places.clear();
            self.places.push(place);
            let bytes = body_len(&stream, &event) as u64;
            self.add_to_lists(&stream, version, &[event], bytes);
            streams.push((stream, version));
        }
        if let (Some(keyed), Some(slot)) = (&append.keyed, first_slot) {
            let row = KeyRow { fingerprint: keyed.fingerprint, first: after.next(), count, slot };
            self.view.live().add_key(keyed.key.clone(), row);
        }
        self.group.last = self.last;
        self.group.events += count as usize;
        Answer::Recorded { after, last: self.last }
    }

    /// The event that stands for a keyed commit without events; its id derives from the key.
    fn system_event(&self, append: &Append) -> NewEvent {
        // The parts are kept apart by a character that neither can hold.
        let name = |keyed: &Keyed| format!("{}\0{}", keyed.key.scope(), keyed.key.id());
        let name = append.keyed.as_ref().map(name).unwrap_or_default();
        let id = Uuid::new_v5(&self.shared.identity.id.uuid(), name.as_bytes());
        NewEvent::new(EventId::new(id), EventType::system(), Bytes::new()).with_content_type(ContentType::BYTES)
    }

    fn place(
        &mut self,
        stream: &StreamId,
        event: &NewEvent,
        version: Version,
        time: Timestamp,
        synced: Position,
        opens: bool,
    ) -> Place {
        let position = self.last.next();
        let (full, slot) = self.pages.record(stream, event, version, time, position, synced, opens);
        self.group.pages.extend(full);
        self.last = position;
        (position, slot)
    }

    /// Adds the events that were just placed to the lists in memory, `self.places` saying where they stand.
    fn add_to_lists(&self, stream: &StreamId, first: Version, events: &[NewEvent], event_bytes: u64) {
        let (live, places) = (self.view.live(), &self.places);
        live.add_events(stream.as_str(), first, places, event_bytes);
        live.add_to_list(Kind::Category, stream.category(), places);
        let mut places = places.as_slice();
        for same in events.chunk_by(|a, b| a.event_type.name() == b.event_type.name()) {
            let (own, rest) = places.split_at(same.len().min(places.len()));
            places = rest;
            if let Some(event) = same.first() {
                live.add_to_list(Kind::Type, event.event_type.name(), own);
            }
            for (event, place) in same.iter().zip(own) {
                for (at, tag) in event.tags.iter().enumerate() {
                    if !event.tags.iter().take(at).any(|earlier| earlier == tag) {
                        live.add_to_list(Kind::Tag, tag.as_str(), &[*place]);
                    }
                }
            }
        }
    }

    /// The group with its pages finished; a new one begins.
    pub(crate) fn take(&mut self) -> Group {
        self.group.pages.extend(self.pages.finish());
        self.group.totals = self.view.totals();
        std::mem::take(&mut self.group)
    }

    /// Ends the live generation if it is full, and waits if too many wait for the index already. Between groups only.
    pub(crate) fn freeze_if_full(&mut self) -> Option<Arc<Generation>> {
        let live = Arc::clone(self.shared.view.load().live());
        let full = live.event_count() >= self.shared.options.index_chunk_events
            || live.byte_count() >= limits::GENERATION_BYTES_MAX;
        if !full || self.shared.index_failure().is_some() && self.view.frozen_count() >= limits::FROZEN_GENERATIONS_MAX
        {
            return None;
        }
        self.shared.wait_until(|shared| {
            shared.view.load().frozen_count() < limits::FROZEN_GENERATIONS_MAX
                || shared.index_failure().is_some()
                || shared.poisoned().is_some()
        });
        self.freeze()
    }

    /// Ends the live generation, unless it is empty.
    pub(crate) fn freeze(&mut self) -> Option<Arc<Generation>> {
        let live = Arc::clone(self.shared.view.load().live());
        if live.event_count() == 0 {
            return None;
        }
        live.freeze(Seal { position: self.last, checksum: self.pages.last_checksum() });
        let next = Arc::new(Generation::behind(self.last, live.totals()));
        self.shared.change_view(|view| view.with_live(Arc::clone(&next)));
        self.view = self.shared.view.load_full();
        Some(live)
    }
}

/// What a key that is already there means: the same request again, or a mistake.
pub(crate) fn repetition(keyed: &Keyed, row: KeyRow) -> Answer {
    if row.fingerprint == keyed.fingerprint {
        Answer::Repeated(row)
    } else {
        Answer::Refused(AppendError::KeyReused { key: keyed.key.clone() })
    }
}
