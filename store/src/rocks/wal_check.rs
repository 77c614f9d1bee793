//! The check before the log is opened for writing: whether RocksDB will recover everything that was synced.
//!
//! Opening for writing puts what was recovered into tables and removes the write-ahead log, and with it what says that
//! something is missing. So the question is asked before, and if there is doubt, of RocksDB itself: opened to read only, it
//! recovers the same and changes nothing.

use std::path::Path;

use annalist_core::{Direction, Position, StoreError};

use super::{LogDb, ReadError, Tier};
use crate::{
    error::OpenError,
    format::{Damage, Page},
    options::StoreOptions,
    wal::{Files, Place, Scan},
};

/// What RocksDB says of a log whose files seem to end before what is in tables.
const INCONSISTENT: &str = "Column family inconsistency";

/// What opening must bring back.
pub(crate) struct Expected {
    /// Up to where the log must reach.
    synced: Position,
    /// The number behind the last batch, if nothing is missing before it: RocksDB reads the same files and must come as far.
    next_sequence: Option<u64>,
    files: Files,
}

/// Reads the write-ahead log of the log in `dir`. `indexed` is known from elsewhere to have been durable.
///
/// # Errors
/// [`OpenError::Damaged`] if events that were synced would be missing.
pub(crate) fn check_wal(dir: &Path, settings: &StoreOptions, indexed: Position) -> Result<Expected, OpenError> {
    let files = Files::open(dir).map_err(OpenError::io("open the write-ahead log in", dir))?;
    let scan = files.scan().map_err(OpenError::io("read the write-ahead log in", dir))?;
    tracing::debug!(files = scan.files, bytes = scan.bytes, synced = scan.synced.get(), "read the write-ahead log");
    if let Some(place) = &scan.stalls {
        // Nor can RocksDB be asked.
        return Err(lost(scan.first, place, "RocksDB cannot get past the damage"));
    }
    let synced = if scan.last > Position::ZERO { scan.synced.max(indexed) } else { scan.synced };
    // Where a log ends early and whole, only the index knows better.
    let early = (synced > scan.last).then_some(Place { file: 0, offset: 0 });
    let Some(place) = scan.doubt.clone().or(early) else {
        return Ok(Expected { synced, next_sequence: scan.next_sequence, files });
    };
    let recovered = ask(dir, settings, &scan, &place)?;
    if recovered < synced {
        let why = format!("events up to position {synced} had been synced");
        return Err(lost(recovered.next(), &place, &why));
    }
    tracing::warn!(
        file = place.file,
        offset = place.offset,
        "bytes of the write-ahead log cannot be read; none were synced that are not in the tables"
    );
    Ok(Expected { synced, next_sequence: None, files })
}

impl Expected {
    /// Opens the log. RocksDB (11.8) refuses one with a file that is used again, is still needed and is not the last, when it takes
    /// what that file had before for damage, nothing stands in the files behind it, and pages were put into tables since (its
    /// `MaybeHandleStopReplayForCorruptionForInconsistency`). It was read here that nothing is missing: then those ends are cut off.
    pub(crate) fn open(&self, dir: &Path, settings: &StoreOptions) -> Result<LogDb, OpenError> {
        let engine = |error: rocksdb::Error| OpenError::Engine { dir: dir.to_owned(), detail: error.into_string() };
        match LogDb::open(dir, settings) {
            Err(error) if error.as_ref().contains(INCONSISTENT) && self.next_sequence.is_some() => {
                tracing::warn!(%error, "what the files of the write-ahead log had before is cut off");
                self.files.cut_ends(dir).map_err(OpenError::io("cut the write-ahead log in", dir))?;
                LogDb::open(dir, settings).map_err(engine)
            }
            opened => opened.map_err(engine),
        }
    }

    /// Writes again what stands in the write-ahead log and RocksDB did not recover, because a read gave it a wrong bit that is
    /// not on the disk: it takes that for the end of the log, and has removed the files by now (ADR 46). Returns up to where the
    /// log must reach.
    pub(crate) fn complete(self, log: &LogDb) -> Result<Position, ReadError> {
        let recovered = log.next_sequence();
        let Some(expected) = self.next_sequence.filter(|expected| *expected > recovered) else {
            return Ok(self.synced);
        };
        tracing::warn!(recovered, expected, "RocksDB misread the write-ahead log: what it left out is written again");
        let end = self.files.batches_from(recovered, |batch| log.write_again(batch))?;
        if end < expected {
            let detail = "RocksDB misread the write-ahead log, and what it left out cannot be read any more";
            return Err(Damage { position: self.synced.next(), detail }.into());
        }
        log.sync()?;
        Ok(self.synced)
    }
}

/// The last position that RocksDB recovers, and that no page before it is missing.
fn ask(dir: &Path, settings: &StoreOptions, scan: &Scan, place: &Place) -> Result<Position, OpenError> {
    let log = LogDb::open_to_look(dir, settings).map_err(|error| match error.kind() {
        rocksdb::ErrorKind::Corruption => lost(scan.first, place, error.as_ref()),
        _ => OpenError::Engine { dir: dir.to_owned(), detail: error.into_string() },
    })?;
    recovered(&log, scan.first).map_err(|error| OpenError::Damaged(error.into_store_error()))
}

fn recovered(log: &LogDb, from: Position) -> Result<Position, ReadError> {
    let mut before: Option<Page> = None;
    let mut broken = None;
    log.pages_from(from, Direction::Forward, Tier::Disk, |page| {
        let follows = before.as_ref().is_none_or(|before| page.follows(before));
        if !follows {
            broken =
                Some(Damage { position: page.first(), detail: "pages of the write-ahead log before it are missing" });
        }
        before = Some(page);
        follows
    })?;
    match broken {
        Some(damage) => Err(damage.into()),
        // If nothing stands at or behind `from`, what is left ends before it.
        None => Ok(log.last_page()?.as_ref().map_or(Position::ZERO, Page::last)),
    }
}

fn lost(position: Position, place: &Place, why: &str) -> OpenError {
    let place = match place.file {
        0 => "the write-ahead log ends too early".to_owned(),
        file => format!("the write-ahead log cannot be read at byte {} of {file:06}.log", place.offset),
    };
    let detail =
        format!("{place}, and {why}; nothing was changed: keep a copy of the store's folder and restore a backup");
    OpenError::Damaged(StoreError::Corrupt { position, detail })
}
