//! What a backup needs of the log: a copy of its tables at one moment, and a way back to a position.

use std::{fs, io, path::Path};

use annalist_core::{Direction, Position};
use rocksdb::{DB, WriteBatch, checkpoint::Checkpoint};

use super::{
    LogDb, ReadError, Tier,
    log::{PAGES, STATE, families},
    options,
};
use crate::{format::Page, options::StoreOptions};

impl LogDb {
    /// Links the tables of the log into a new folder, with everything that was written before. Writes go on meanwhile.
    pub(crate) fn link_to(&self, dir: &Path) -> Result<(), ReadError> {
        Ok(Checkpoint::new(&self.db)?.create_checkpoint(dir)?)
    }

    /// Opens what [`Self::link_to`] made, as its tables have it: the write-ahead log of a store at work, copied while it was
    /// written, cannot be trusted beyond them. Nothing is compacted, so the tables stay as they are.
    pub(crate) fn open_linked(dir: &Path, settings: &StoreOptions) -> Result<Self, ReadError> {
        for file in fs::read_dir(dir)? {
            let path = file?.path();
            if path.extension().is_some_and(|kind| kind == "log") {
                fs::remove_file(path)?;
            }
        }
        let mut database = options::log_database(settings, false);
        // The files that were just removed are not missing.
        database.set_track_and_verify_wals_in_manifest(false);
        let db = DB::open_cf_descriptors(&database, dir, families(settings, true))?;
        Ok(Self::new(db, settings, false))
    }

    /// Takes the log back: removes what lies behind the last commit that ends at or before `position`, for good. Returns where
    /// that is.
    pub(crate) fn cut_behind(&self, position: Position) -> Result<Position, ReadError> {
        let end = self.commit_end_at(position)?;
        let family = self.family(PAGES)?;
        let mut batch = WriteBatch::default();
        let key = |position: Position| position.get().to_be_bytes();
        if end > Position::ZERO {
            let page = self.page_with(end)?;
            if page.last() > end {
                page.require_sound()?;
                batch.put_cf(family, key(page.first()), page.without_behind(end)?.bytes());
            }
        }
        batch.delete_range_cf(family, key(end.next()), key(Position::MAX));
        self.db.write_opt(batch, &options::write(self.durability))?;
        self.db.flush_cf(family)?;
        // Otherwise the bytes would stay until some compaction, and the tables would say where they end.
        self.db.compact_range_cf(family, Some(key(end)), None::<&[u8]>);
        Ok(end)
    }

    /// Where the last commit ends that ends at or before `position`; zero if none does.
    fn commit_end_at(&self, position: Position) -> Result<Position, ReadError> {
        let mut found = Ok(None);
        self.pages_from(position, Direction::Backward, Tier::Disk, |page| {
            found = page.commit_end_at(position);
            // A commit of many events may have begun some pages before.
            matches!(found, Ok(None))
        })?;
        Ok(found?.unwrap_or_default())
    }

    /// Reads every page behind the one that ends at `from` with this checksum, or all of them if there is none, and checks that
    /// they are whole and follow each other. Returns the last one.
    pub(crate) fn check_pages(&self, from: (Position, u32)) -> Result<Option<Page>, ReadError> {
        let mut begins_there = false;
        self.pages_from(from.0, Direction::Forward, Tier::Disk, |page| {
            begins_there = (page.last(), page.checksum()) == from;
            false
        })?;
        let begin = if begins_there { from.0 } else { Position::ZERO };
        let (mut before, mut outcome): (Option<Page>, _) = (None, Ok(()));
        let first = if begins_there { begin } else { Position::new(1) };
        self.pages_from(first, Direction::Forward, Tier::Disk, |page| {
            outcome = page.require_sound().and_then(|()| {
                let follows = match &before {
                    Some(before) => page.follows(before),
                    None => begins_there || page.first() == Position::new(1),
                };
                let detail = "a page does not follow the one before it: pages are missing or from another log";
                if follows { Ok(()) } else { Err(crate::format::Damage { position: page.first(), detail }) }
            });
            before = Some(page);
            outcome.is_ok()
        })?;
        outcome?;
        Ok(before)
    }

    /// Replaces all notes of consumers by those of another log.
    pub(crate) fn take_notes_of(&self, other: &Self) -> Result<(), ReadError> {
        let mut batch = WriteBatch::default();
        let family = self.family(STATE)?;
        for entry in self.db.iterator_cf(family, rocksdb::IteratorMode::Start) {
            batch.delete_cf(family, entry?.0);
        }
        for entry in other.db.iterator_cf(other.family(STATE)?, rocksdb::IteratorMode::Start) {
            let (name, note) = entry?;
            batch.put_cf(family, name, note);
        }
        Ok(self.db.write_opt(batch, &options::write(self.durability))?)
    }
}

/// The number of a table, if this is the name of one.
pub(crate) fn table_number(name: &str) -> Option<&str> {
    name.strip_suffix(".sst")
}

/// The files of a closed log that a copy of it needs, with what the system says of each.
pub(crate) fn log_files(dir: &Path) -> io::Result<Vec<(String, fs::Metadata)>> {
    let is_needed = |name: &str| name == "CURRENT" || name.starts_with("MANIFEST-") || table_number(name).is_some();
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if is_needed(&name) {
            files.push((name, entry.metadata()?));
        }
    }
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(files)
}
