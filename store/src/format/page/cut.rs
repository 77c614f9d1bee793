//! A page without its last records: what is left of it when the log is taken back to a position inside it.

use annalist_core::Position;

use super::{CHECKSUM_AT, Damage, HEADER_BYTES, Page, page_checksum};
use crate::format::Item;

impl Page {
    /// Where the last commit ends that ends at or before `position`, as far as this page knows: `None` if the commit that holds
    /// `position` began before it.
    pub(crate) fn commit_end_at(&self, position: Position) -> Result<Option<Position>, Damage> {
        let (mut next, mut end) = (self.first, None);
        for item in self.items() {
            match item? {
                Item::Frame(frame) if next <= position => {
                    let last = Position::new(next.get().saturating_add(u64::from(frame.count)).saturating_sub(1));
                    end = Some(if last <= position { last } else { next.previous() });
                }
                Item::Frame(_) => break,
                Item::Record(_) => next = next.next(),
            }
        }
        Ok(end)
    }

    /// The page without the records behind `last`, which is one of its own and the end of a commit.
    pub(crate) fn without_behind(&self, last: Position) -> Result<Self, Damage> {
        let outside = Damage { position: last, detail: "a page does not hold the position at which it is to end" };
        let kept = last.get().checked_sub(self.first.get()).map(|behind| behind + 1);
        let kept = kept.filter(|kept| *kept <= self.record_count()).and_then(|kept| u32::try_from(kept).ok());
        let kept = kept.ok_or(outside)?;
        let mut items = self.items();
        while items.next <= last {
            let ended = Damage { position: items.next, detail: "a page ends before its last record" };
            items.next().ok_or(ended)??;
        }
        let mut bytes = self.bytes.get(..items.at).unwrap_or_default().to_vec();
        if let Some(count) = bytes.get_mut(4..8) {
            count.copy_from_slice(&kept.to_le_bytes());
        }
        let checksum = page_checksum(&bytes);
        if let Some(field) = bytes.get_mut(CHECKSUM_AT..HEADER_BYTES) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
        Self::decode(bytes.into(), self.first)
    }
}
