//! Pages, from memory or from the disk. In a store that is open for writing RocksDB has all of them; of one that is followed it has
//! those that are in tables, and the others are in memory until they are there, too.

use annalist_core::{Direction, Position};

use super::{Hold, Shared};
use crate::{
    format::{Damage, Page},
    rocks::{ReadError, Tier},
};

impl Shared {
    /// The pages behind `after` from memory, about `bytes` of them; `None` if they are no longer there.
    pub(crate) fn recent_pages(&self, after: Position, bytes: usize) -> Option<Vec<Page>> {
        self.recent.read().pages_behind(after, bytes)
    }

    /// Of a store that is followed: keeps pages behind this position in memory, since the tables end there.
    pub(crate) fn tables_end(&self, position: Position) {
        self.recent.write().keep_behind(position);
    }

    /// The pages from the one that holds `position` on, in either direction, while `more` says so of the last one.
    pub(crate) fn pages_from(
        &self,
        position: Position,
        direction: Direction,
        tier: Tier,
        mut more: impl FnMut(Page) -> bool,
    ) -> Result<(), ReadError> {
        if let Hold::Lock(_) = self.hold {
            return self.log.pages_from(position, direction, tier, more);
        }
        // In the tables is what is in memory no longer, so memory is asked first.
        let (mut next, mut goes_on) = (position, true);
        while goes_on && next > Position::ZERO {
            let recent = self.recent.read().page_with(next);
            if let Some(page) = recent {
                next = behind(&page, direction);
                goes_on = more(page);
                continue;
            }
            let mut found = false;
            self.log.pages_from(next, direction, tier, |page| {
                // Where the tables end before `next` they give their last page.
                if direction == Direction::Forward && page.last() < next {
                    return true;
                }
                found = true;
                next = behind(&page, direction);
                goes_on = more(page);
                goes_on
            })?;
            goes_on &= found && direction == Direction::Forward;
        }
        Ok(())
    }

    /// The page that holds the event at `position`.
    pub(crate) fn page_with(&self, position: Position) -> Result<Page, ReadError> {
        let mut found = None;
        self.pages_from(position, Direction::Forward, Tier::Disk, |page| {
            found = Some(page);
            false
        })?;
        let found = found.filter(|page| (page.first()..=page.last()).contains(&position));
        found.ok_or_else(|| Damage { position, detail: "pages are missing before this position" }.into())
    }

    /// The page that stands under exactly this position.
    pub(crate) fn page(&self, first: Position, tier: Tier) -> Result<Page, ReadError> {
        self.recent_page(first).map_or_else(|| self.log.page(first, tier), Ok)
    }

    /// Shows the bytes of the pages under these positions, which go one way, in that order, until one cannot be read or `see`
    /// fails.
    pub(crate) fn look_at_pages(
        &self,
        firsts: &[Position],
        tier: Tier,
        mut see: impl FnMut(usize, &[u8]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let recent = self.recent_pages_at(firsts);
        let on_disk = firsts.iter().zip(&recent).filter(|(_, page)| page.is_none()).map(|(first, _)| *first);
        let on_disk: Vec<Position> = on_disk.collect();
        let mut on_disk = self.log.pages_at(&on_disk, tier)?;
        for (at, page) in recent.iter().enumerate() {
            match page {
                Some(page) => see(at, page.bytes())?,
                None => on_disk.next().map_or(Ok(()), |bytes| see(at, &bytes?))?,
            }
        }
        Ok(())
    }

    fn recent_pages_at(&self, firsts: &[Position]) -> Vec<Option<Page>> {
        let recent = self.recent.read();
        firsts.iter().map(|first| recent.page(*first)).collect()
    }

    fn recent_page(&self, first: Position) -> Option<Page> {
        self.recent.read().page(first)
    }

    /// Shows every page from the one that holds `from` on, those that cannot be read too, with where that is; while `more` says
    /// so.
    pub(crate) fn visit_pages(
        &self,
        from: Position,
        mut more: impl FnMut(Result<Page, (Position, ReadError)>) -> bool,
    ) {
        if let Hold::Lock(_) = self.hold {
            return self.log.visit_pages(from, more);
        }
        let (mut next, mut goes_on) = (from, true);
        while goes_on {
            let recent = self.recent.read().page_with(next);
            if let Some(page) = recent {
                next = page.last().next();
                goes_on = more(Ok(page));
                continue;
            }
            let begin = next;
            self.log.visit_pages(begin, |found| {
                if let Ok(page) = &found {
                    if page.last() < begin {
                        return true;
                    }
                    next = page.last().next();
                }
                goes_on = more(found);
                goes_on
            });
            goes_on &= next > begin;
        }
    }
}

/// What comes behind a page.
fn behind(page: &Page, direction: Direction) -> Position {
    match direction {
        Direction::Forward => page.last().next(),
        Direction::Backward => page.first().previous(),
    }
}
