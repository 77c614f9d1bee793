//! The newest durable pages, in memory.

use std::collections::VecDeque;

use annalist_core::Position;

use crate::{
    format::{Page, Totals},
    limits,
};

/// Shared by all live subscribers, with what the log holds up to the last of them. Of a store that is followed it also has whatever is
/// not in the tables yet, however much that is: as much as the other process keeps in memory itself.
pub(super) struct Recent {
    pages: VecDeque<Page>,
    bytes: usize,
    last: Position,
    totals: Totals,
    /// Up to here pages are found elsewhere, too.
    elsewhere: Position,
}

impl Recent {
    /// Nothing yet, of a log that ends at `last`.
    pub(super) const fn behind(last: Position, totals: Totals) -> Self {
        Self { pages: VecDeque::new(), bytes: 0, last, totals, elsewhere: Position::MAX }
    }

    /// A durable position, and what the log holds up to it.
    pub(super) const fn totals(&self) -> (Position, Totals) {
        (self.last, self.totals)
    }

    /// Adds what comes next, and lets go of what is too much.
    pub(super) fn add(&mut self, pages: Vec<Page>, last: Position, totals: Totals) {
        (self.last, self.totals) = (last, totals);
        for page in pages {
            self.bytes += page.byte_count();
            self.pages.push_back(page);
        }
        self.trim();
    }

    /// Keeps what lies behind this position until it is found elsewhere, too.
    pub(super) fn keep_behind(&mut self, elsewhere: Position) {
        self.elsewhere = elsewhere;
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes > limits::RECENT_BYTES_MAX && self.pages.len() > 1 {
            if self.pages.front().is_some_and(|page| page.last() > self.elsewhere) {
                return;
            }
            if let Some(page) = self.pages.pop_front() {
                self.bytes -= page.byte_count();
            }
        }
    }

    /// The page that stands under exactly this position.
    pub(super) fn page(&self, first: Position) -> Option<Page> {
        let at = self.pages.binary_search_by_key(&first, Page::first).ok()?;
        self.pages.get(at).cloned()
    }

    /// The page that holds this position.
    pub(super) fn page_with(&self, position: Position) -> Option<Page> {
        let at = self.pages.partition_point(|page| page.last() < position);
        self.pages.get(at).filter(|page| page.first() <= position).cloned()
    }

    /// The pages behind `after`, about `bytes` of them; `None` if they are no longer there.
    pub(super) fn pages_behind(&self, after: Position, bytes: usize) -> Option<Vec<Page>> {
        if self.pages.front()?.first() > after.next() {
            return None;
        }
        let start = self.pages.partition_point(|page| page.last() <= after);
        let mut left = bytes;
        let wanted = self.pages.iter().skip(start).take_while(|page| {
            let more = left > 0;
            left = left.saturating_sub(page.byte_count());
            more
        });
        Some(wanted.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    /// A page of one record and 4 MiB.
    fn page(first: u64) -> Page {
        let mut bytes = vec![0; 4 * MIB];
        (bytes[0], bytes[4]) = (1, 1);
        bytes[8..16].copy_from_slice(&first.to_le_bytes());
        Page::decode(bytes.into(), Position::new(first)).expect("its header is whole")
    }

    fn kept(recent: &Recent) -> Vec<u64> {
        (0..20).filter(|at| recent.page_with(Position::new(*at)).is_some()).collect()
    }

    #[test]
    fn what_is_found_elsewhere_is_bounded_and_what_is_not_is_kept() {
        let mut recent = Recent::behind(Position::ZERO, Totals::default());
        for first in 1..=8 {
            recent.add(vec![page(first)], Position::new(first), Totals::default());
        }
        assert_eq!(kept(&recent), [7, 8], "8 MiB, of a store that has all in its database");

        recent.keep_behind(Position::new(6));
        recent.add((9..=14).map(page).collect(), Position::new(14), Totals::default());
        assert_eq!(kept(&recent), [7, 8, 9, 10, 11, 12, 13, 14], "the tables end at 6");
        recent.keep_behind(Position::new(10));
        assert_eq!(kept(&recent), [11, 12, 13, 14], "they have come to 10");
        recent.keep_behind(Position::new(14));
        assert_eq!(kept(&recent), [13, 14], "8 MiB stay for subscribers");
    }
}
