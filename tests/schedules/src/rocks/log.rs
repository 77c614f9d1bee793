//! The log on a disk in memory.

use std::{ops::Deref, path::Path};

use annalist_core::{Direction, Position};
use bytes::Bytes;

use super::{Condition, Disk, ReadError, Tier, missing};
use crate::{concurrency::happens_once_in, format::Page};

pub(crate) struct LogDb(Disk);

impl LogDb {
    pub(crate) const fn on(disk: Disk) -> Self {
        Self(disk)
    }

    /// What is in memory is left to chance.
    pub(super) fn reach(tier: Tier) -> Result<(), ReadError> {
        if tier == Tier::Memory && happens_once_in(3) { Err(ReadError::NotInMemory) } else { Ok(()) }
    }

    pub(crate) fn write(&self, pages: &[Page]) -> Result<(), ReadError> {
        self.0.write(pages).ok_or_else(|| ReadError::Poisoned("the disk failed".to_owned()))
    }

    pub(crate) fn page(&self, first: Position, tier: Tier) -> Result<Page, ReadError> {
        Self::reach(tier)?;
        let bytes = self.0.state().log.get(&first).cloned().ok_or(missing(first))?;
        Ok(Page::decode(bytes, first)?)
    }

    pub(crate) fn pages_at(
        &self,
        firsts: &[Position],
        tier: Tier,
    ) -> Result<impl Iterator<Item = Result<impl Deref<Target = [u8]>, ReadError>>, ReadError> {
        if !firsts.is_empty() {
            Self::reach(tier)?;
        }
        let state = self.0.state();
        let pages: Vec<Result<Bytes, ReadError>> =
            firsts.iter().map(|first| state.log.get(first).cloned().ok_or(missing(*first))).collect();
        Ok(pages.into_iter())
    }

    /// What was there when it began.
    pub(crate) fn pages_from(
        &self,
        position: Position,
        direction: Direction,
        tier: Tier,
        mut more: impl FnMut(Page) -> bool,
    ) -> Result<(), ReadError> {
        Self::reach(tier)?;
        let log = self.0.log();
        let Some((begin, _)) = log.range(..=position).next_back() else { return Ok(()) };
        let mut pages: Vec<(&Position, &Bytes)> = match direction {
            Direction::Forward => log.range(begin..).collect(),
            Direction::Backward => log.range(..=begin).rev().collect(),
        };
        for (first, bytes) in pages.drain(..) {
            if !more(Page::decode(bytes.clone(), *first)?) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn visit_pages(
        &self,
        from: Position,
        mut more: impl FnMut(Result<Page, (Position, ReadError)>) -> bool,
    ) {
        let read = self.pages_from(from, Direction::Forward, Tier::Disk, |page| more(Ok(page)));
        if let Err(error) = read {
            let _ = more(Err((from, error)));
        }
    }

    pub(crate) fn page_with(&self, position: Position) -> Result<Page, ReadError> {
        let mut found = None;
        self.pages_from(position, Direction::Forward, Tier::Disk, |page| {
            found = Some(page);
            false
        })?;
        found.filter(|page| page.last() >= position).ok_or(missing(position))
    }

    pub(crate) fn dir(&self) -> &Path {
        Path::new("/")
    }

    pub(crate) fn disk_bytes(&self) -> Result<u64, ReadError> {
        Ok(0)
    }

    pub(crate) fn free_bytes(&self) -> Result<u64, ReadError> {
        Ok(u64::MAX)
    }

    pub(crate) fn condition(&self) -> Condition {
        Condition::default()
    }

    pub(crate) fn note(&self, name: &str) -> Result<Option<Bytes>, ReadError> {
        Ok(self.0.state().notes.get(name).cloned())
    }

    pub(crate) fn put_note(&self, name: &str, note: &[u8]) -> Result<(), ReadError> {
        self.0.state().notes.insert(name.to_owned(), Bytes::copy_from_slice(note));
        Ok(())
    }
}
