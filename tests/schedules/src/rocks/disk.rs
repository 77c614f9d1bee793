//! A disk in memory that fails when it is told to, and checks what is asked of it.

use std::{collections::BTreeMap, sync::Arc};

use annalist_core::Position;
use bytes::Bytes;
use shuttle::sync::{Mutex, MutexGuard};

use crate::{
    census::{self, Kind},
    format::{Item, Page},
};

/// What fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The number of the write of the log that fails, counted from 1; 0: none.
    pub write: usize,
    /// Whether what that write was to write is there all the same: a sync failed.
    pub is_written: bool,
    /// The number of the chunk that the index does not take, and none after it; 0: it takes all.
    pub chunk: usize,
}

/// Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Default)]
pub(super) struct State {
    faults: Faults,
    writes: usize,
    chunks: usize,
    is_writing: bool,
    has_failed: bool,
    /// The pages, by their first position.
    pub(super) log: BTreeMap<Position, Bytes>,
    /// The last position of a page that was written, and its checksum.
    end: (Position, u32),
    /// Up to where all was synced.
    durable: Position,
    /// Replaced as a whole: who iterates goes on with what was there.
    pub(super) index: Arc<Rows>,
    pub(super) notes: BTreeMap<String, Bytes>,
    pub(super) snapshots: BTreeMap<String, Bytes>,
}

impl Disk {
    pub(crate) fn new(faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(State { faults, ..State::default() })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    /// Up to where all was synced.
    pub(crate) fn durable(&self) -> Position {
        self.state().durable
    }

    pub(super) fn trust(&self, position: Position) {
        self.state().durable = position;
    }

    /// Whether the index has something.
    pub(crate) fn is_indexed(&self) -> bool {
        !self.state().index.is_empty()
    }

    /// The log as it stands.
    pub(crate) fn log(&self) -> BTreeMap<Position, Bytes> {
        self.state().log.clone()
    }

    /// Whether a write has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    /// Writes pages, which others may see then, and syncs them. `None`: it failed.
    pub(super) fn write(&self, pages: &[Page]) -> Option<()> {
        let mut state = self.state();
        assert!(!state.is_writing, "two groups are written at a time");
        assert!(!state.has_failed, "something is written behind a failed write");
        state.is_writing = true;
        let frames = pages.iter().flat_map(Page::items).filter(|item| matches!(item, Ok(Item::Frame(_))));
        if frames.count() > 1 {
            census::note(Kind::SharedWrite);
        }
        state.writes += 1;
        let fails = state.writes == state.faults.write;
        let keeps = !fails || state.faults.is_written;
        drop(state);
        let mut state = self.state();
        for page in pages.iter().filter(|_| keeps) {
            let (last, checksum) = state.end;
            assert_eq!((page.first(), page.previous_checksum()), (last.next(), checksum), "a page follows another");
            state.end = (page.last(), page.checksum());
            state.log.insert(page.first(), Bytes::copy_from_slice(page.bytes()));
        }
        drop(state);
        let mut state = self.state();
        state.is_writing = false;
        if fails {
            state.has_failed = true;
            return None;
        }
        state.durable = state.end.0;
        Some(())
    }

    /// Adds a chunk, all rows at once; it ends at `mark`. `None`: it failed.
    pub(super) fn add_chunk(&self, rows: Rows, mark: Position) -> Option<()> {
        let mut state = self.state();
        assert!(mark <= state.durable, "the index takes {mark}, which is not durable");
        state.chunks += 1;
        if state.faults.chunk > 0 && state.chunks >= state.faults.chunk {
            return None;
        }
        drop(state);
        let mut state = self.state();
        let mut next = Rows::clone(&state.index);
        next.extend(rows);
        state.index = Arc::new(next);
        Some(())
    }
}
