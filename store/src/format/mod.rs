//! The only code that knows how bytes lie in the log and the index. `docs/format.md` has the tables.

mod item;
mod manifest;
mod page;
mod pick;
mod row;
mod store_file;
#[cfg(test)]
mod tests;
mod varint;

pub(crate) use item::{Frame, Item};
pub(crate) use manifest::{BackedUpFile, MANIFEST_FILE, Manifest};
pub(crate) use page::{Damage, Page, PageBuilder, PageHeader};
pub(crate) use pick::pick_records;
pub(crate) use row::{
    KeyRow, Kind, ListRow, MARK_KEY, Mark, Place, Totals, key_row_key, list_name, list_prefix_len, list_row_key,
};
pub(crate) use store_file::StoreFile;
