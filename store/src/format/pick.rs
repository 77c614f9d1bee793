//! Single records out of a page that need not be copied whole: what a reader of scattered events wants.

use annalist_core::{Position, RecordedEvent};
use bytes::Bytes;

use super::{
    item::{self, Extent, Item},
    page::{Damage, HEADER_BYTES, PageHeader, can_be_counted, is_page_sound},
};

/// Adds to `out` the records at these positions, which ascend and all lie in the page under `key`. Only they are copied;
/// what else the page holds is passed over. Those before damage are added.
pub(crate) fn pick_records(
    bytes: &[u8],
    key: Position,
    wanted: &[Position],
    out: &mut Vec<RecordedEvent>,
) -> Result<(), Damage> {
    let broken = |detail| Damage { position: key, detail };
    let header =
        PageHeader::decode(bytes, key).ok_or(broken("a page is in a format that this version does not know"))?;
    let is_sound = is_page_sound(bytes);
    if !is_sound && !can_be_counted(bytes, header.last.get() - key.get() + 1) {
        return Err(broken("the checksum of a page does not hold"));
    }
    let mut found: Vec<Extent> = Vec::with_capacity(wanted.len());
    let mut failed = None;
    let mut items = Records { bytes, is_sound, at: HEADER_BYTES, next: key };
    for position in wanted {
        match items.seek(*position) {
            Ok(extent) => found.push(extent),
            Err(detail) => {
                failed = Some(Damage { position: *position, detail });
                break;
            }
        }
    }
    let mut copied = Vec::with_capacity(found.iter().map(|extent| extent.end - extent.content_start).sum());
    for extent in &mut found {
        let start = copied.len();
        copied.extend_from_slice(bytes.get(extent.content_start..extent.end).unwrap_or_default());
        (extent.content_start, extent.end) = (start, copied.len());
    }
    let copied = Bytes::from(copied);
    for (extent, position) in found.iter().zip(wanted) {
        let damage = |detail| Damage { position: *position, detail };
        match item::decode(&copied, extent, *position).map_err(damage)? {
            Item::Record(record) => out.push(record),
            Item::Frame(_) => return Err(damage("a frame stands where a record should")),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// A walk over the records of a page.
struct Records<'a> {
    bytes: &'a [u8],
    /// Whether the checksum of the whole page holds; if not, each item is checked by its own.
    is_sound: bool,
    at: usize,
    /// The position of the next record.
    next: Position,
}

impl Records<'_> {
    /// Goes on to the record at `position`.
    fn seek(&mut self, position: Position) -> Result<Extent, &'static str> {
        loop {
            let extent = item::extent(self.bytes, self.at).ok_or("the page ends before this record")?;
            self.at = extent.end;
            if item::is_record(self.bytes, &extent) {
                let found = self.next;
                self.next = found.next();
                if found == position {
                    let is_sound = self.is_sound || item::is_sound(self.bytes, &extent);
                    return if is_sound { Ok(extent) } else { Err("the checksum of a record does not hold") };
                }
            }
        }
    }
}
