//! A view: the index on disk up to its mark, and the generations behind it. It never changes; a new one replaces it.

use std::sync::Arc;

use annalist_core::{Key, Position, Version};

use super::Generation;
use crate::{
    format::KeyRow,
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

    /// The last version of a stream in memory, staged events included: what only the sequencer may know.
    pub(crate) fn staged_head(&self, stream: &str) -> Option<Version> {
        self.generations.iter().rev().find_map(|generation| generation.head(stream, Position::MAX))
    }

    /// A key in memory, staged commits included: what only the sequencer may know.
    pub(crate) fn staged_key(&self, key: &Key) -> Option<KeyRow> {
        self.generations.iter().rev().find_map(|generation| generation.key(key, Position::MAX))
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
        let row = index.stream_row(stream, Version::MAX, self.mark(), tier)?;
        Ok(row.map_or(Version::ZERO, |row| row.end().previous()))
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
    /// them, in order, each with its version and its slot.
    pub(crate) fn places(
        &self,
        index: &IndexDb,
        stream: &str,
        (from, to): (Version, Version),
        (through, limit): (Position, usize),
        tier: Tier,
    ) -> Result<Vec<(Version, Position, u32)>, ReadError> {
        let mut places = Vec::new();
        let in_memory = self.generations.iter().find_map(|generation| generation.first_version(stream, through));
        if in_memory.is_none_or(|first| from < first) {
            self.places_on_disk(index, stream, (from, to), limit, tier, &mut places)?;
        }
        for generation in &self.generations {
            let next = places.last().map_or(from, |(version, ..): &(Version, _, _)| version.next());
            generation.places(stream, (next, to), through, limit, &mut places);
        }
        Ok(places)
    }

    fn places_on_disk(
        &self,
        index: &IndexDb,
        stream: &str,
        (from, to): (Version, Version),
        limit: usize,
        tier: Tier,
        out: &mut Vec<(Version, Position, u32)>,
    ) -> Result<(), ReadError> {
        let mark = self.mark();
        let mut next = index.stream_row(stream, from, mark, tier)?;
        while let Some(row) = next {
            let end = row.end();
            if row.places.last().is_none_or(|(position, _)| *position > mark) {
                return Ok(());
            }
            for (version, (position, slot)) in (row.first.get()..).map(Version::new).zip(row.places) {
                if version > to || out.len() >= limit {
                    return Ok(());
                }
                if version >= from {
                    out.push((version, position, slot));
                }
            }
            next = if end > to || out.len() >= limit { None } else { index.stream_row_at(stream, end, tier)? };
        }
        Ok(())
    }
}
