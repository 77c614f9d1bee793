//! The database of a map: open, closed, or to be opened again.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    mem,
    path::{Path, PathBuf},
};

use annalist_core::StoreError;
use parking_lot::{Mutex, RwLock};
use rocksdb::{DB, Error, ErrorKind};

use super::{damaged, options, options::KeyValueOptions, store_error};
use crate::{concurrency::Instant, error::OpenError, limits, wal};

pub(super) struct Map {
    dir: PathBuf,
    settings: KeyValueOptions,
    /// Whoever reads or writes holds the lock shared; only closing, and opening again, take it alone.
    state: RwLock<State>,
    /// Held by a write, so that nothing comes between its guard and itself; taken after the lock above. RocksDB writes one after
    /// the other anyway. Says since when writes have failed, if the last one did.
    failing: Mutex<Option<Instant>>,
}

enum State {
    Open(DB),
    /// It could not be opened again, for this reason.
    Away(String),
    Closed,
}

/// How a write went; `None` if it is to be tried again.
pub(super) type Attempt = Option<Result<(), Error>>;

impl Map {
    pub(super) fn open(dir: &Path, settings: &KeyValueOptions) -> Result<Self, OpenError> {
        let state = RwLock::new(State::Open(open(dir, settings)?));
        Ok(Self { dir: dir.to_owned(), settings: settings.clone(), state, failing: Mutex::default() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&DB) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.state.read() {
            State::Open(db) => work(db),
            State::Away(why) => Err(StoreError::Unavailable { why: why.clone() }),
            State::Closed => Err(StoreError::Closed),
        }
    }

    /// Does this while nobody else writes.
    pub(super) fn writing(
        &self,
        write: impl FnOnce(&DB) -> Result<Attempt, StoreError>,
    ) -> Result<Attempt, StoreError> {
        self.with(|db| {
            let mut failing = self.failing.lock();
            let written = write(db)?;
            match &written {
                Some(Ok(())) => *failing = None,
                Some(Err(error)) if error.kind() != ErrorKind::Incomplete => {
                    _ = failing.get_or_insert_with(Instant::now);
                }
                _ => {}
            }
            Ok(written)
        })
    }

    /// Opens it again, if it could not be written for a while, and could be now. RocksDB (11.8) looks for room by itself every five
    /// seconds, but not any more once that has failed for want of a new write-ahead log (`DefaultReasonMap` of its `ErrorHandler`,
    /// `SstFileManagerImpl::ClearError`), and after other errors never (ADR 50).
    pub(super) fn mend(&self) {
        let is_due = |failing: Option<Instant>| failing.is_some_and(|since| since.elapsed() >= limits::REOPEN_AFTER);
        if !is_due(*self.failing.lock()) || !self.can_be_written() {
            return;
        }
        let mut state = self.state.write();
        let mut failing = self.failing.lock();
        // Another caller may have done it meanwhile, or closed it.
        if !is_due(*failing) || matches!(*state, State::Closed) {
            return;
        }
        if let State::Open(db) = mem::replace(&mut *state, State::Closed) {
            db.cancel_all_background_work(true);
        }
        let dir = self.dir.display();
        (*state, *failing) = match open(&self.dir, &self.settings) {
            Ok(db) => {
                tracing::info!(%dir, "views that could not be written were opened again");
                (State::Open(db), None)
            }
            Err(error) => {
                tracing::warn!(%dir, %error, "views that could not be written could not be opened again");
                (State::Away(error.to_string()), Some(Instant::now()))
            }
        };
    }

    /// Whether a little can be written, so that what can be read is not closed in vain.
    fn can_be_written(&self) -> bool {
        let path = self.dir.join("probe");
        let write = || -> io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(&vec![0; limits::REOPEN_PROBE_BYTES])?;
            file.sync_all()
        };
        let written = write();
        let _ = fs::remove_file(&path);
        written.is_ok()
    }

    pub(super) fn close(&self) -> Result<(), StoreError> {
        let State::Open(db) = mem::replace(&mut *self.state.write(), State::Closed) else { return Ok(()) };
        let flushed = db.flush().map_err(store_error);
        db.cancel_all_background_work(true);
        flushed
    }
}

fn open(dir: &Path, settings: &KeyValueOptions) -> Result<DB, OpenError> {
    fs::create_dir_all(dir).map_err(OpenError::io("make the folder", dir))?;
    if wal::mend_manifest(dir).map_err(OpenError::io("mend the MANIFEST in", dir))? {
        return Err(OpenError::Damaged(damaged("the MANIFEST is damaged")));
    }
    DB::open(&options::database(settings), dir).map_err(|error| open_error(dir, error))
}

fn open_error(dir: &Path, error: Error) -> OpenError {
    let detail = error.to_string();
    match error.kind() {
        // RocksDB has no kind of its own for a held lock.
        ErrorKind::IOError if detail.contains("lock") => {
            OpenError::Locked { dir: dir.to_owned(), holder: "another process, or by this one".to_owned() }
        }
        ErrorKind::Corruption => OpenError::Damaged(store_error(error)),
        _ => OpenError::Engine { dir: dir.to_owned(), detail },
    }
}
