//! The index on a disk in memory.

use std::sync::Arc;

use annalist_core::{Key, Position};
use bytes::Bytes;

use super::{Condition, Disk, IndexError, LogDb, ReadError, Tier, disk::Rows, missing};
use crate::format::{self, KeyRow, Kind, ListRow, MARK_KEY, Mark};

pub(crate) struct IndexDb(Disk);

impl IndexDb {
    pub(crate) const fn on(disk: Disk) -> Self {
        Self(disk)
    }

    pub(crate) fn ingest<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), IndexError> {
        let rows: Rows = rows.map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let mark = rows.get(MARK_KEY).and_then(|bytes| Mark::decode(bytes)).expect("a chunk has a mark");
        self.0.add_chunk(rows, mark.position).ok_or(IndexError)
    }

    /// From now on the log is taken for durable up to here: there is none in what calls this.
    pub(crate) fn trust(&self, position: Position) {
        self.0.trust(position);
    }

    /// What an iterator that is made now shows.
    fn rows(&self) -> Arc<Rows> {
        Arc::clone(&self.0.state().index)
    }

    pub(crate) fn key(&self, key: &Key, tier: Tier) -> Result<Option<KeyRow>, ReadError> {
        LogDb::reach(tier)?;
        let mut row_key = Vec::new();
        format::key_row_key(&mut row_key, key);
        self.rows().get(&row_key).map(|value| KeyRow::decode(value).ok_or(missing(Position::ZERO))).transpose()
    }

    pub(crate) fn rows_forward(
        &self,
        list: (Kind, &str),
        at: u64,
        tier: Tier,
        mut more: impl FnMut(ListRow) -> bool,
    ) -> Result<(), ReadError> {
        LogDb::reach(tier)?;
        let (rows, [first, entry, last]) = (self.rows(), keys(list, at));
        let before = rows.range(first..=entry.clone()).next_back().map(|(key, _)| key.clone());
        for (key, value) in rows.range(before.unwrap_or(entry)..=last) {
            if !more(ListRow::decode(key, value).ok_or(missing(Position::ZERO))?) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn rows_backward(
        &self,
        list: (Kind, &str),
        at: u64,
        tier: Tier,
        mut more: impl FnMut(ListRow) -> bool,
    ) -> Result<(), ReadError> {
        LogDb::reach(tier)?;
        let (rows, [first, entry, _]) = (self.rows(), keys(list, at));
        for (key, value) in rows.range(first..=entry).rev() {
            if !more(ListRow::decode(key, value).ok_or(missing(Position::ZERO))?) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn disk_bytes(&self) -> Result<u64, ReadError> {
        Ok(0)
    }

    pub(crate) fn condition(&self) -> Condition {
        Condition::default()
    }

    pub(crate) fn cached_bytes(&self) -> usize {
        0
    }

    pub(crate) fn snapshot(&self, stream: &str) -> Result<Option<Bytes>, ReadError> {
        Ok(self.0.state().snapshots.get(stream).cloned())
    }

    pub(crate) fn put_snapshot(&self, stream: &str, snapshot: &[u8]) -> Result<(), ReadError> {
        self.0.state().snapshots.insert(stream.to_owned(), Bytes::copy_from_slice(snapshot));
        Ok(())
    }

    pub(crate) fn flush_snapshots(&self) -> Result<(), ReadError> {
        Ok(())
    }
}

/// The first key that a row of a list can have, the one of this ordinal, and the last.
fn keys((kind, name): (Kind, &str), at: u64) -> [Vec<u8>; 3] {
    [0, at, u64::MAX].map(|ordinal| {
        let mut key = Vec::new();
        format::list_row_key(&mut key, kind, name, ordinal);
        key
    })
}
