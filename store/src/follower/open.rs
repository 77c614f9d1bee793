//! Beginning to follow a store.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use annalist_core::Position;
use rocksdb::Cache;
use tempfile::TempDir;

use super::{
    FollowOptions,
    chase::{Chase, Trouble},
};
use crate::{
    error::OpenError,
    format::{Mark, StoreFile, Totals},
    options::StoreOptions,
    recovery::{self, Fit, RESTORING},
    replay::Replay,
    rocks::{IndexDb, LogDb},
    shared::{Hold, Shared},
    tail::View,
    wal,
};

/// How long the store may be in the way, since its process is just opening it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to look for what is said to be durable and is not found.
const SEARCH: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Reads which store this is.
pub(super) fn identity(dir: &Path) -> Result<StoreFile, OpenError> {
    let path = dir.join("STORE");
    let no_store = |detail: &str| OpenError::NotAStore { dir: dir.to_owned(), detail: detail.to_owned() };
    match fs::read_to_string(&path) {
        Ok(text) => StoreFile::decode(&text).map_err(|detail| no_store(&detail)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && dir.join(RESTORING).exists() => {
            Err(no_store("a restore into it is not finished"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_store("there is no file STORE in it")),
        Err(error) => Err(OpenError::io("read", &path)(error)),
    }
}

/// Opens the store in `dir` for reading, and takes what there is.
pub(super) fn open(dir: &Path, options: &FollowOptions) -> Result<(Arc<Shared>, Chase), OpenError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt(dir, options, deadline) {
            Err(OpenError::Unavailable { .. }) if Instant::now() < deadline => thread::sleep(PAUSE),
            opened => return opened,
        }
    }
}

fn attempt(dir: &Path, options: &FollowOptions, deadline: Instant) -> Result<(Arc<Shared>, Chase), OpenError> {
    let identity = identity(dir)?;
    let not_now = |why: String| OpenError::Unavailable { dir: dir.to_owned(), why };
    let scratch = scratch().map_err(OpenError::io("make a temporary folder in", std::env::temp_dir()))?;
    for part in ["log", "index"] {
        if wal::manifest_stalls(&dir.join(part)) {
            return Err(not_now(format!("the MANIFEST of the {part} is damaged")));
        }
    }
    let settings = settings(options);
    let engine = |error: rocksdb::Error| not_now(error.into_string());
    let log = LogDb::follow(&dir.join("log"), &scratch.path().join("log"), &settings).map_err(engine)?;
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    let index = IndexDb::follow(&dir.join("index"), &scratch.path().join("index"), &cache).map_err(engine)?;

    let mark = index.mark().map_err(recovery::damaged)?;
    let end = log.last_page().map_err(recovery::damaged)?;
    let tables_end = end.as_ref().map_or((Position::ZERO, 0), |page| (page.last(), page.checksum()));
    let nothing = Mark { epoch: identity.epoch, position: Position::ZERO, checksum: 0, totals: Totals::default() };
    let mark = mark.unwrap_or(nothing);
    // What lies behind the tables is compared when it is read.
    let fit = if mark.position > tables_end.0 {
        Fit::Covers
    } else {
        recovery::check_mark(&log, mark, identity.epoch, tables_end.0).map_err(recovery::damaged)?
    };
    if mark.epoch != identity.epoch || fit == Fit::Rebuild {
        return Err(not_now("its index does not fit its log; opening the store makes it anew".to_owned()));
    }
    // Pages that are not in the tables are kept in memory, those that the index has too.
    let begin = if mark.position > tables_end.0 { tables_end } else { (mark.position, mark.checksum) };
    let replay = Replay::behind(&mark);
    let view = View::of(Arc::clone(replay.generation()));
    let hold = Hold::Scratch { _dir: scratch };
    let shared = Arc::new(Shared::new(identity, settings, log, index, view, begin.0, hold));
    shared.tables_end(tables_end.0);
    let mut chase = Chase::behind(Arc::clone(&shared), dir, replay, begin);
    catch_up(&mut chase, dir, mark.position, deadline)?;
    Ok((shared, chase))
}

/// Takes everything that is known to be durable by now.
fn catch_up(chase: &mut Chase, dir: &Path, indexed: Position, deadline: Instant) -> Result<(), OpenError> {
    let mut progress = (Position::ZERO, Instant::now());
    loop {
        let passing = match chase.step() {
            Ok(()) => None,
            Err(Trouble::Passing(why)) => Some(why),
            Err(Trouble::Final(error)) => return Err(OpenError::Damaged(error)),
        };
        let (last, durable) = chase.progress();
        if passing.is_none() && last >= durable {
            return Ok(());
        }
        if last > progress.0 {
            progress = (last, Instant::now());
        }
        if progress.1.elapsed() > SEARCH && passing.is_none() && last >= indexed {
            // A store that does not sync may have lost it with its machine.
            tracing::warn!(
                last = last.get(),
                durable = durable.get(),
                "the log ends before what is noted to be durable"
            );
            return Ok(());
        }
        if progress.1.elapsed() > SEARCH && Instant::now() > deadline {
            let why = passing.unwrap_or_else(|| format!("what is durable up to position {durable} ends at {last}"));
            return Err(OpenError::Unavailable { dir: dir.to_owned(), why });
        }
        thread::sleep(PAUSE);
    }
}

fn scratch() -> io::Result<TempDir> {
    let scratch = tempfile::Builder::new().prefix("annalist-follower-").tempdir()?;
    for part in ["log", "index"] {
        fs::create_dir(scratch.path().join(part))?;
    }
    Ok(scratch)
}

fn settings(options: &FollowOptions) -> StoreOptions {
    StoreOptions {
        create: false,
        block_cache_bytes: options.block_cache_bytes,
        index_chunk_events: options.index_chunk_events,
        // Nothing is written.
        disk_reserve_bytes: 0,
        ..StoreOptions::default()
    }
}
