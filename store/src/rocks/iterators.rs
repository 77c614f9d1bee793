//! The database of the index, with iterators over its rows that are kept for the next look-up: making one takes several
//! microseconds, because every file of the index has a part in it, and using it again less than one.
//!
//! An iterator shows the rows that were there when it was made. Rows are only ever added, a chunk at a time, and a view that
//! counts on a chunk exists only after [`KeptDb::forget_iterators`]; so whoever takes one finds all that its view counts on. Until
//! then the files that iterators use stay on the disk, even if a compaction has replaced them.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rocksdb::{ColumnFamily, DB, DBRawIterator};
use self_cell::self_cell;

use super::{Tier, options};

/// Iterators kept for each tier: as many look-ups as may well be under way at once. Each holds a few kilobytes.
const KEPT: usize = 32;

type Iterators<'a> = Mutex<Vec<(u64, DBRawIterator<'a>)>>;

/// Iterators that nobody uses at the moment, with the count of chunks they were made under.
#[derive(Default)]
struct Idle<'a> {
    memory: Iterators<'a>,
    disk: Iterators<'a>,
}

impl<'a> Idle<'a> {
    const fn of(&self, tier: Tier) -> &Iterators<'a> {
        match tier {
            Tier::Memory => &self.memory,
            Tier::Disk => &self.disk,
        }
    }
}

self_cell!(
    struct Cell {
        owner: DB,
        #[not_covariant]
        dependent: Idle,
    }
);

/// See the module.
pub(super) struct KeptDb {
    cell: Cell,
    chunks: AtomicU64,
}

impl KeptDb {
    pub(super) fn new(db: DB) -> Self {
        Self { cell: Cell::new(db, |_| Idle::default()), chunks: AtomicU64::new(0) }
    }

    pub(super) fn db(&self) -> &DB {
        self.cell.borrow_owner()
    }

    /// Lets `look` use an iterator over the lists in this family, which is always the same one.
    pub(super) fn iterate<T>(
        &self,
        family: &ColumnFamily,
        tier: Tier,
        look: impl FnOnce(&mut DBRawIterator<'_>) -> T,
    ) -> T {
        self.cell.with_dependent(|db, idle| {
            let idle = idle.of(tier);
            let kept = idle.lock().pop();
            let (made, mut iterator) = kept.unwrap_or_else(|| {
                // Read first: an iterator may show more than it is trusted with, never less.
                let made = self.chunks.load(Ordering::SeqCst);
                (made, db.raw_iterator_cf_opt(family, options::list(tier)))
            });
            let found = look(&mut iterator);
            let mut idle = idle.lock();
            if idle.len() < KEPT && made == self.chunks.load(Ordering::SeqCst) {
                idle.push((made, iterator));
            }
            found
        })
    }

    /// Has every later look-up see what was added up to now.
    pub(super) fn forget_iterators(&self) {
        self.chunks.fetch_add(1, Ordering::SeqCst);
        self.cell.with_dependent(|_, idle| {
            for idle in [&idle.memory, &idle.disk] {
                let forgotten = std::mem::take(&mut *idle.lock());
                drop(forgotten);
            }
        });
    }
}
