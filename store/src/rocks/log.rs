//! The log on disk: pages under their first position, and the consumers' notes beside them.

use std::{
    ops::Deref,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use annalist_core::{Direction, Position};
use bytes::Bytes;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, ErrorKind, FlushOptions, IteratorMode, ReadOptions, WriteBatch,
};

use super::{Condition, ReadError, Stall, Tier, occupied, options};
use crate::{
    format::{Damage, Page},
    options::{Durability, StoreOptions},
};

pub(super) const PAGES: &str = "pages";
pub(super) const STATE: &str = "state";

pub(crate) struct LogDb {
    pub(super) db: DB,
    pub(super) durability: Durability,
    scattered: Scattered,
    /// Whether to put what is in memory into tables at the end, so that the next opening has nothing to recover. Not behind
    /// a failed write: what became of it is for recovery to find out.
    tidy: AtomicBool,
}

/// How single pages are read.
struct Scattered {
    memory: ReadOptions,
    disk: ReadOptions,
}

impl Scattered {
    fn new() -> Self {
        Self { memory: scan_options(Tier::Memory), disk: scan_options(Tier::Disk) }
    }

    const fn of(&self, tier: Tier) -> &ReadOptions {
        match tier {
            Tier::Memory => &self.memory,
            Tier::Disk => &self.disk,
        }
    }
}

impl LogDb {
    pub(crate) fn open(dir: &Path, settings: &StoreOptions) -> Result<Self, rocksdb::Error> {
        let database = options::log_database(settings, options::takes_direct_writes(dir));
        let db = DB::open_cf_descriptors(&database, dir, families(settings, false))?;
        Ok(Self::new(db, settings, true))
    }

    pub(super) fn new(db: DB, settings: &StoreOptions, tidy: bool) -> Self {
        Self { db, durability: settings.durability, scattered: Scattered::new(), tidy: AtomicBool::new(tidy) }
    }

    /// Opens what is there to read only: recovers as [`Self::open`] does, but in memory, and changes nothing.
    pub(crate) fn open_to_look(dir: &Path, settings: &StoreOptions) -> Result<Self, rocksdb::Error> {
        let (database, families) = (options::log_database(settings, false), families(settings, false));
        let db = DB::open_cf_descriptors_read_only(&database, dir, families, false)?;
        Ok(Self::new(db, settings, false))
    }

    pub(super) fn family(&self, name: &str) -> Result<&ColumnFamily, ReadError> {
        let missing = Damage { position: Position::ZERO, detail: "a column family of the log is missing" };
        self.db.cf_handle(name).ok_or(ReadError::Damaged(missing))
    }

    /// Writes a group's pages in one atomic, and if so set synced, write.
    pub(crate) fn write(&self, pages: &[Page]) -> Result<(), ReadError> {
        let family = self.family(PAGES)?;
        let bytes: usize = pages.iter().map(|page| page.byte_count() + 32).sum();
        self.write_batch(self.durability, || {
            let mut batch = WriteBatch::with_capacity_bytes(bytes + 32);
            for page in pages {
                batch.put_cf(family, page.first().get().to_be_bytes(), page.bytes());
            }
            batch
        })
    }

    /// Writes a batch, and waits while too much waits to be put into tables.
    fn write_batch(&self, durability: Durability, batch: impl Fn() -> WriteBatch) -> Result<(), ReadError> {
        let (options, mut stall) = (options::write(durability), Stall::default());
        loop {
            let error = match self.db.write_opt(batch(), &options) {
                Err(error) if error.kind() == ErrorKind::Incomplete => error,
                written => return Ok(written.inspect_err(|_| self.failed())?),
            };
            if !stall.may_pass(&self.db, &error) {
                self.failed();
                return Err(ReadError::Poisoned(format!("too much waits to be put into tables: {error}")));
            }
            stall.wait();
        }
    }

    /// The number of the next entry of a batch.
    pub(super) fn next_sequence(&self) -> u64 {
        self.db.latest_sequence_number() + 1
    }

    /// Writes a batch as the write-ahead log had it; [`Self::sync`] makes it durable.
    pub(super) fn write_again(&self, batch: &[u8]) -> Result<(), ReadError> {
        self.write_batch(Durability::ProcessCrash, || WriteBatch::from_data(batch))
    }

    /// Makes everything durable that was written.
    pub(super) fn sync(&self) -> Result<(), ReadError> {
        Ok(self.db.flush_wal(true).inspect_err(|_| self.failed())?)
    }

    fn failed(&self) {
        self.tidy.store(false, Ordering::Relaxed);
    }

    /// The page that stands under exactly this position.
    pub(crate) fn page(&self, first: Position, tier: Tier) -> Result<Page, ReadError> {
        let family = self.family(PAGES)?;
        let value = self.db.get_pinned_cf_opt(family, first.get().to_be_bytes(), &options::read(tier))?;
        let value = value.ok_or_else(|| not_in_the_log(first))?;
        Ok(Page::decode(Bytes::copy_from_slice(&value), first)?)
    }

    /// The bytes of the pages that stand under these positions, which go one way.
    pub(crate) fn pages_at(
        &self,
        firsts: &[Position],
        tier: Tier,
    ) -> Result<impl Iterator<Item = Result<impl Deref<Target = [u8]>, ReadError>>, ReadError> {
        let family = self.family(PAGES)?;
        let keys: Vec<[u8; 8]> = firsts.iter().map(|first| first.get().to_be_bytes()).collect();
        let values = self.db.batched_multi_get_cf_opt(family, &keys, keys.is_sorted(), self.scattered.of(tier));
        Ok(firsts.iter().zip(values).map(|(first, value)| Ok(value?.ok_or_else(|| not_in_the_log(*first))?)))
    }

    /// The pages from the one that holds `position` on, in either direction, while `more` says so of the last one.
    pub(crate) fn pages_from(
        &self,
        position: Position,
        direction: Direction,
        tier: Tier,
        mut more: impl FnMut(Page) -> bool,
    ) -> Result<(), ReadError> {
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(PAGES)?, scan_options(tier));
        iterator.seek_for_prev(position.get().to_be_bytes());
        while let Some((key, value)) = iterator.item() {
            if !more(decode(key, value)?) {
                return Ok(());
            }
            match direction {
                Direction::Forward => iterator.next(),
                Direction::Backward => iterator.prev(),
            }
        }
        Ok(iterator.status()?)
    }

    /// Shows every page from the one that holds `from` on, those that cannot be read too, with where that is; while `more` says
    /// so. Where a file is damaged it goes on with the next one.
    pub(crate) fn visit_pages(
        &self,
        from: Position,
        mut more: impl FnMut(Result<Page, (Position, ReadError)>) -> bool,
    ) {
        let family = match self.family(PAGES) {
            Ok(family) => family,
            Err(error) => {
                let _ = more(Err((from, error)));
                return;
            }
        };
        let mut iterator = self.db.raw_iterator_cf_opt(family, options::page());
        let mut at = from;
        iterator.seek_for_prev(from.get().to_be_bytes());
        if !iterator.valid() && iterator.status().is_ok() {
            iterator.seek(from.get().to_be_bytes());
        }
        loop {
            while let Some((key, value)) = iterator.item() {
                at = key.as_array::<8>().map_or(at, |key| Position::new(u64::from_be_bytes(*key)));
                if !more(decode(key, value).map_err(|error| (at, error))) {
                    return;
                }
                iterator.next();
            }
            let Err(error) = iterator.status() else { return };
            let next = self.first_file_behind(at);
            if !more(Err((at.next(), error.into()))) {
                return;
            }
            let Some(next) = next else { return };
            at = next;
            iterator.seek(next.get().to_be_bytes());
        }
    }

    /// The first position of the next table.
    fn first_file_behind(&self, position: Position) -> Option<Position> {
        let files = self.db.live_files().ok()?;
        let starts = files.iter().filter(|file| file.column_family_name == PAGES).filter_map(|file| {
            let key = file.start_key.as_deref()?.as_array::<8>()?;
            Some(Position::new(u64::from_be_bytes(*key)))
        });
        starts.filter(|start| *start > position).min()
    }

    /// The page that holds the event at `position`.
    pub(crate) fn page_with(&self, position: Position) -> Result<Page, ReadError> {
        let mut found = None;
        self.pages_from(position, Direction::Forward, Tier::Disk, |page| {
            found = Some(page);
            false
        })?;
        let found = found.filter(|page| page.last() >= position);
        found.ok_or_else(|| Damage { position, detail: "pages are missing before this position" }.into())
    }

    /// The last page of the log.
    pub(crate) fn last_page(&self) -> Result<Option<Page>, ReadError> {
        match self.db.iterator_cf(self.family(PAGES)?, IteratorMode::End).next() {
            None => Ok(None),
            Some(entry) => {
                let (key, value) = entry?;
                decode(&key, &value).map(Some)
            }
        }
    }

    /// The first page behind `position`.
    pub(crate) fn first_page_behind(&self, position: Position) -> Result<Option<Page>, ReadError> {
        let key = position.next().get().to_be_bytes();
        match self.db.iterator_cf(self.family(PAGES)?, IteratorMode::From(&key, rocksdb::Direction::Forward)).next() {
            None => Ok(None),
            Some(entry) => {
                let (key, value) = entry?;
                decode(&key, &value).map(Some)
            }
        }
    }

    /// Puts other bytes, or none, under a position: what a test finds again.
    #[cfg(test)]
    pub(crate) fn damage(&self, first: Position, bytes: &[u8]) {
        let (family, key) = (self.family(PAGES).expect("it is there"), first.get().to_be_bytes());
        let written =
            if bytes.is_empty() { self.db.delete_cf(family, key) } else { self.db.put_cf(family, key, bytes) };
        written.expect("it can be written");
    }

    /// Where it lies.
    pub(crate) fn dir(&self) -> &Path {
        self.db.path()
    }

    /// What the log occupies on the disk.
    pub(crate) fn disk_bytes(&self) -> Result<u64, ReadError> {
        Ok(occupied(self.db.path())?)
    }

    /// What is free on the disk that the log is on.
    pub(crate) fn free_bytes(&self) -> Result<u64, ReadError> {
        Ok(fs4::available_space(self.db.path())?)
    }

    /// How the database is doing.
    pub(crate) fn condition(&self) -> Condition {
        let families: Vec<&ColumnFamily> = [PAGES, STATE].iter().filter_map(|name| self.db.cf_handle(name)).collect();
        Condition::of(&self.db, &families)
    }

    /// A consumer's note.
    pub(crate) fn note(&self, name: &str) -> Result<Option<Bytes>, ReadError> {
        let value = self.db.get_pinned_cf(self.family(STATE)?, name)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Replaces a consumer's note, as durably as the log.
    pub(crate) fn put_note(&self, name: &str, note: &[u8]) -> Result<(), ReadError> {
        let family = self.family(STATE)?;
        self.write_batch(self.durability, || {
            let mut batch = WriteBatch::default();
            batch.put_cf(family, name, note);
            batch
        })
    }
}

impl Drop for LogDb {
    fn drop(&mut self) {
        if !self.tidy.load(Ordering::Relaxed) {
            return;
        }
        let families: Vec<&ColumnFamily> = [PAGES, STATE].iter().filter_map(|name| self.db.cf_handle(name)).collect();
        if let Err(error) = self.db.flush_cfs_opt(&families, &FlushOptions::default()) {
            tracing::warn!(%error, "the log was not put into tables: the next opening does it");
        }
    }
}

/// The families of the log; `as_they_are` leaves their tables alone.
pub(super) fn families(settings: &StoreOptions, as_they_are: bool) -> [ColumnFamilyDescriptor; 2] {
    // The scan of the write-ahead log knows the pages' family by its number, which follows from this order.
    [(PAGES, options::pages_family(settings)), (STATE, options::state_family(settings))].map(|(name, mut family)| {
        family.set_disable_auto_compactions(as_they_are);
        ColumnFamilyDescriptor::new(name, family)
    })
}

const fn not_in_the_log(first: Position) -> Damage {
    Damage { position: first, detail: "the index names a page that is not in the log" }
}

fn scan_options(tier: Tier) -> ReadOptions {
    match tier {
        Tier::Memory => options::read(Tier::Memory),
        Tier::Disk => options::page(),
    }
}

fn decode(key: &[u8], value: &[u8]) -> Result<Page, ReadError> {
    let malformed = Damage { position: Position::ZERO, detail: "a key of the log is not a position" };
    let first = Position::new(u64::from_be_bytes(*key.as_array::<8>().ok_or(malformed)?));
    Ok(Page::decode(Bytes::copy_from_slice(value), first)?)
}
