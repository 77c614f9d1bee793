//! A view: the index on disk up to its mark, and the generations behind it. It never changes; a new one replaces it.

use std::sync::Arc;

use annalist_core::{Key, Position, Version};

use super::Generation;
use crate::{
    format::{KeyRow, Kind, Place, Totals},
    rocks::{IndexDb, ReadError, Tier},
};

/// See the module. The generations lie end to end, oldest first; the last one is live and still grows.
#[derive(Debug, Clone)]
pub(crate) struct View {
    generations: Vec<Arc<Generation>>,
}

impl View {
    pub(crate) fn of(live: Arc<Generation>) -> Self {
        Self { generations: vec![live] }
    }

    /// Up to where the index on disk answers.
    pub(crate) fn mark(&self) -> Position {
        self.generations.first().map_or(Position::ZERO, |oldest| oldest.floor())
    }

    pub(crate) fn live(&self) -> &Arc<Generation> {
        self.generations.last().expect("a view always has a live generation")
    }

    /// How many generations wait for the index.
    pub(crate) fn frozen_count(&self) -> usize {
        self.generations.len() - 1
    }

    /// Where the oldest generation ends, if it is frozen.
    pub(crate) fn oldest_ends_at(&self) -> Option<Position> {
        Some(self.generations.first()?.seal()?.position)
    }

    /// What its generations take in memory, about.
    pub(crate) fn byte_count(&self) -> usize {
        self.generations.iter().map(|generation| generation.byte_count()).sum()
    }

    /// The same with a new live generation; the one before is frozen.
    pub(crate) fn with_live(&self, live: Arc<Generation>) -> Self {
        let mut next = self.clone();
        next.generations.push(live);
        next
    }

    /// The same without the oldest generation, which is in the index now.
    pub(crate) fn without_oldest(&self) -> Self {
        Self { generations: self.generations.get(1..).unwrap_or_default().to_vec() }
    }

    /// What the log holds, staged events included.
    pub(crate) fn totals(&self) -> Totals {
        self.live().totals()
    }

    /// The last version of a stream in memory, staged events included: what only the sequencer may know.
    pub(crate) fn staged_head(&self, stream: &str) -> Option<Version> {
        self.generations.iter().rev().find_map(|generation| generation.head(stream, Position::MAX))
    }

    /// A key in memory, staged commits included: what only the sequencer may know.
    pub(crate) fn staged_key(&self, key: &Key) -> Option<KeyRow> {
        self.generations.iter().rev().find_map(|generation| generation.key(key, Position::MAX))
    }

    /// Shows the streams that have events in memory, staged ones included, in no order and some of them more than once.
    pub(crate) fn for_each_stream(&self, mut see: impl FnMut(&str)) {
        for generation in &self.generations {
            generation.for_each_list(|kind, name, _, _| {
                if kind == Kind::Stream {
                    see(name);
                }
            });
        }
    }

    /// The last version of a stream among the events up to `through`; zero if it has none.
    pub(crate) fn head(
        &self,
        index: &IndexDb,
        stream: &str,
        through: Position,
        tier: Tier,
    ) -> Result<Version, ReadError> {
        if let Some(head) = self.generations.iter().rev().find_map(|generation| generation.head(stream, through)) {
            return Ok(head);
        }
        let (end, mut head) = (self.mark().min(through), Version::ZERO);
        index.rows_backward((Kind::Stream, stream), u64::MAX, tier, |row| {
            // Rows behind the end: the caller asks for an earlier moment, or a chunk was added after this view was made and
            // memory answers for it.
            let visible = row.places.partition_point(|(position, _)| *position <= end);
            if visible > 0 {
                head = Version::new(row.first + visible as u64 - 1);
            }
            visible == 0
        })?;
        Ok(head)
    }

    /// What is known of a key whose commit ends at or before `through`.
    pub(crate) fn key(
        &self,
        index: &IndexDb,
        key: &Key,
        through: Position,
        tier: Tier,
    ) -> Result<Option<KeyRow>, ReadError> {
        if let Some(row) = self.generations.iter().rev().find_map(|generation| generation.key(key, through)) {
            return Ok(Some(row));
        }
        Ok(index.key(key, tier)?.filter(|row| row.last() <= through))
    }

    /// Where the events of a stream stand with versions in `from ..= to` and positions up to `through`: at most `limit` of
    /// them, in order.
    pub(crate) fn versions(
        &self,
        index: &IndexDb,
        stream: &str,
        (from, to): (Version, Version),
        (through, limit): (Position, usize),
        tier: Tier,
    ) -> Result<Vec<(Version, Place)>, ReadError> {
        let mut found = Vec::new();
        let in_memory = self.generations.iter().find_map(|generation| generation.first_version(stream, through));
        if in_memory.is_none_or(|first| from < first) {
            let mark = self.mark().min(through);
            index.rows_forward((Kind::Stream, stream), from.get(), tier, |row| {
                for (version, place) in (row.first..).map(Version::new).zip(row.places) {
                    if version > to || place.0 > mark || found.len() >= limit {
                        return false;
                    }
                    if version >= from {
                        found.push((version, place));
                    }
                }
                true
            })?;
        }
        for generation in &self.generations {
            let next = found.last().map_or(from, |(version, _): &(Version, _)| version.next());
            generation.versions(stream, (next, to), through, limit, &mut found);
        }
        Ok(found)
    }

    /// Adds to `out` where the first events of a list from `from` to `to` stand, in order: at least one if there is one, and
    /// about `limit` if there are as many. What lies at or before the mark is looked up in `disk`.
    pub(crate) fn places_forward(
        &self,
        disk: Option<(&IndexDb, Tier)>,
        list: (Kind, &str),
        (from, to): (Position, Position),
        limit: usize,
        out: &mut Vec<Place>,
    ) -> Result<(), ReadError> {
        let mark = self.mark();
        if let Some((index, tier)) = disk.filter(|_| from <= mark) {
            let end = mark.min(to);
            let at = entry(index, list, from, tier)?;
            index.rows_forward(list, at, tier, |row| {
                out.extend(row.places.iter().filter(|(position, _)| (from..=end).contains(position)));
                row.last() < end && out.len() < limit
            })?;
        }
        for generation in self.generations.iter().filter(|generation| generation.floor() < to) {
            if out.len() >= limit {
                break;
            }
            generation.places_forward(list, (from, to), limit, out);
        }
        Ok(())
    }

    /// Adds to `out` where the last events of a list from `from` to `to` stand, newest first: at least one if there is one, and
    /// about `limit` if there are as many.
    pub(crate) fn places_backward(
        &self,
        (index, tier): (&IndexDb, Tier),
        list: (Kind, &str),
        (from, to): (Position, Position),
        limit: usize,
        out: &mut Vec<Place>,
    ) -> Result<(), ReadError> {
        for generation in self.generations.iter().rev().filter(|generation| generation.floor() < to) {
            if out.len() >= limit {
                return Ok(());
            }
            generation.places_backward(list, (from, to), limit, out);
        }
        let end = self.mark().min(to);
        if out.len() >= limit || end < from {
            return Ok(());
        }
        let at = entry(index, list, end, tier)?;
        index.rows_backward(list, at, tier, |row| {
            out.extend(row.places.iter().rev().filter(|(position, _)| (from..=end).contains(position)));
            row.places.first().is_some_and(|(first, _)| *first > from) && out.len() < limit
        })
    }
}

/// The ordinal at which the rows of a list are to be entered to meet `position`. Rows are found by their first ordinal, which is
/// a position except in streams; there the row is searched by halves, since versions and positions have one order.
fn entry(index: &IndexDb, (kind, name): (Kind, &str), position: Position, tier: Tier) -> Result<u64, ReadError> {
    if kind != Kind::Stream {
        return Ok(position.get());
    }
    let row_at = |version: u64| -> Result<Option<(u64, Position)>, ReadError> {
        let mut found = None;
        index.rows_backward((kind, name), version, tier, |row| {
            found = row.places.first().map(|(first, _)| (row.first, *first));
            false
        })?;
        Ok(found)
    };
    let Some((newest, begins)) = row_at(u64::MAX)? else { return Ok(1) };
    if begins <= position {
        return Ok(newest);
    }
    // Rows before `low` begin early enough, the last of them at `found`; those from `high` on begin too late.
    let (mut found, mut low, mut high) = (1, 1, newest);
    while low < high {
        let middle = low + (high - low) / 2;
        match row_at(middle)? {
            Some((first, begins)) if begins <= position => (found, low) = (first, middle + 1),
            Some((first, _)) => high = first,
            None => break,
        }
    }
    Ok(found)
}
