//! Opening a store: the lock, the identity, the two databases, and what the index does not cover yet.

use std::{fs, io, path::Path, sync::Arc};

use annalist_core::{Direction, Epoch, Position, Progress, StoreId};
use rocksdb::Cache;
use uuid::Uuid;

use crate::{
    error::OpenError,
    folders,
    format::{Damage, Mark, Page, StoreFile, Totals},
    indexer,
    lock::Lock,
    options::StoreOptions,
    replay::Replay,
    rocks::{IndexDb, LogDb, ReadError, Tier, check_wal},
    sequencer::Start,
    shared::{Hold, Shared},
    tail::View,
    wal,
};

/// In a store's folder: what a backup links before it copies it. Left behind, it is removed.
pub(crate) const STAGING: &str = "backup.staging";

/// In a folder: a restore into it has begun. It becomes `STORE` when all is there.
pub(crate) const RESTORING: &str = "RESTORING";

/// An opened store before its threads run.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) start: Start,
}

/// Opens the store in `dir`, or makes one.
pub(crate) fn open(dir: &Path, options: StoreOptions) -> Result<Opened, OpenError> {
    open_with(dir, options, Index::Kept, &mut |_| {})
}

/// Opens the store in `dir` with an index that is made anew, telling how far that is, in positions.
pub(crate) fn rebuild(
    dir: &Path,
    mut options: StoreOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Opened, OpenError> {
    options.create = false;
    open_with(dir, options, Index::Rebuilt, progress)
}

/// Builds the index of a restored log, which reads all of it, and then says which store it is: from then on it is one.
pub(crate) fn complete(
    dir: &Path,
    lock: Lock,
    identity: StoreFile,
    options: StoreOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Position, OpenError> {
    let path = dir.join("STORE");
    let text = identity.encode();
    // Held until it is a store.
    let held = lock.file().map_err(OpenError::io("lock", dir))?;
    let opened = open_locked(dir, lock, identity, options, Index::Rebuilt, progress)?;
    let head = opened.shared.watermark();
    drop(opened);
    folders::write_whole(dir, &path, &text).map_err(OpenError::io("write", &path))?;
    drop(held);
    Ok(head)
}

#[derive(PartialEq, Eq)]
enum Index {
    Kept,
    Rebuilt,
}

fn open_with(
    dir: &Path,
    options: StoreOptions,
    wanted: Index,
    progress: &mut dyn FnMut(Progress),
) -> Result<Opened, OpenError> {
    let span = tracing::info_span!("annalist.recovery", dir = %dir.display(), position = tracing::field::Empty);
    let _entered = span.enter();
    if !options.create && !dir.join("STORE").exists() {
        let detail = "there is no file STORE in it".to_owned();
        return Err(OpenError::NotAStore { dir: dir.to_owned(), detail });
    }
    fs::create_dir_all(dir).map_err(OpenError::io("create", dir))?;
    let lock = Lock::take(dir)?;
    let identity = identity(dir)?;
    open_locked(dir, lock, identity, options, wanted, progress)
}

fn open_locked(
    dir: &Path,
    lock: Lock,
    identity: StoreFile,
    options: StoreOptions,
    wanted: Index,
    progress: &mut dyn FnMut(Progress),
) -> Result<Opened, OpenError> {
    let staging = dir.join(STAGING);
    if staging.exists() {
        remove_dir(&staging)?;
    }
    let (index_dir, log_dir) = (dir.join("index"), dir.join("log"));
    folders::make(dir, [&index_dir, &log_dir])?;
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    let index = open_index(&index_dir, &cache)?;
    let mark = index.mark().unwrap_or_else(|error| {
        tracing::warn!(%error, "the index does not say up to where it is");
        None
    });

    // Before anything is recovered, since that removes what says that something is missing.
    let indexed = mark.filter(|mark| mark.epoch == identity.epoch).map_or(Position::ZERO, |mark| mark.position);
    if wal::mend_manifest(&log_dir).map_err(OpenError::io("mend the MANIFEST in", &log_dir))? {
        let detail = "the MANIFEST of the log is damaged; nothing was changed: keep a copy of the store's folder and \
                      restore a backup";
        return Err(damaged(Damage { position: Position::ZERO, detail }.into()));
    }
    let expected = check_wal(&log_dir, &options, indexed)?;
    let log = expected.open(&log_dir, &options)?;
    let synced = expected.complete(&log).map_err(damaged)?;
    let last_page = log.last_page().map_err(damaged)?;
    let head = last_page.as_ref().map_or(Position::ZERO, Page::last);
    if head < synced {
        let detail = "the log ends before events that were durable; restore it from a backup";
        return Err(damaged(Damage { position: head.next(), detail }.into()));
    }
    let nothing = Mark { epoch: identity.epoch, position: Position::ZERO, checksum: 0, totals: Totals::default() };
    // One without a single row, as every young store has it, fits any log.
    let mark = mark.or_else(|| index.is_empty().is_ok_and(|is_empty| is_empty).then_some(nothing));
    let fit = mark.map_or(Ok(Fit::Rebuild), |mark| check_mark(&log, mark, identity.epoch, head)).map_err(damaged)?;
    let (index, covered) = if let (Fit::Covers, Some(mark), Index::Kept) = (fit, mark, wanted) {
        (index, mark)
    } else {
        if head > Position::ZERO {
            tracing::warn!(head = head.get(), "the index is missing or does not fit the log: rebuilding it");
        }
        drop(index);
        remove_dir(&index_dir)?;
        (open_index(&index_dir, &cache)?, nothing)
    };
    let mut replay = Replay::behind(&covered);
    let chunks = (identity.epoch, options.index_chunk_events);
    replay_into(&mut replay, &index, chunks, &log, head, progress).map_err(damaged)?;
    let time = match (replay.last() > covered.position, &last_page) {
        (false, Some(page)) => page.record(head).map_err(|damage| damaged(damage.into()))?.time,
        _ => replay.time(),
    };
    let start = Start { last: head, checksum: replay.checksum(), time };
    let view = View::of(Arc::clone(replay.generation()));
    tracing::Span::current().record("position", head.get());
    tracing::info!(indexed = covered.position.get(), "opened the store");
    // Before any append: what the file says by now may be from before a failure of the machine.
    lock.note(head);
    let shared = Arc::new(Shared::new(identity, options, log, index, view, head, Hold::Lock(lock)));
    Ok(Opened { shared, start })
}

/// Reads `STORE`, or writes it for a new store: whole or not at all.
fn identity(dir: &Path) -> Result<StoreFile, OpenError> {
    let path = dir.join("STORE");
    match fs::read(&path) {
        Ok(bytes) => {
            let text =
                String::from_utf8(bytes).map_err(|_| "STORE is not text; restore that file from a backup".to_owned());
            let decoded = text.and_then(|text| StoreFile::decode(&text));
            decoded.map_err(|detail| OpenError::NotAStore { dir: dir.to_owned(), detail })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if dir.join(RESTORING).exists() {
                let detail = "a restore into it was not finished; restore again, into the same folder".to_owned();
                return Err(OpenError::NotAStore { dir: dir.to_owned(), detail });
            }
            if dir.join("log").exists() {
                let detail = "it has a log but no file STORE; restore that file from a backup".to_owned();
                return Err(OpenError::NotAStore { dir: dir.to_owned(), detail });
            }
            folders::sync_names(dir)?;
            let new = StoreFile { id: new_store_id(), epoch: Epoch::FIRST, left: Vec::new() };
            folders::write_whole(dir, &path, &new.encode()).map_err(OpenError::io("write", &path))?;
            Ok(new)
        }
        Err(error) => Err(OpenError::io("read", &path)(error)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a store's identity is made once, when it is created")]
fn new_store_id() -> StoreId {
    StoreId::new(Uuid::now_v7())
}

/// Opens the index; a damaged one is removed, since the log has everything that is in it.
fn open_index(dir: &Path, cache: &Cache) -> Result<IndexDb, OpenError> {
    if wal::manifest_stalls(dir) {
        tracing::warn!("the MANIFEST of the index is damaged: rebuilding it");
        remove_dir(dir)?;
    }
    let opened = match IndexDb::open(dir, cache) {
        Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => {
            tracing::warn!(%error, "the index is damaged: rebuilding it");
            remove_dir(dir)?;
            IndexDb::open(dir, cache)
        }
        opened => opened,
    };
    opened.map_err(|error| OpenError::Engine { dir: dir.to_owned(), detail: error.into_string() })
}

pub(crate) fn remove_dir(path: &Path) -> Result<(), OpenError> {
    fs::remove_dir_all(path).map_err(OpenError::io("remove", path))
}

pub(crate) fn damaged(error: ReadError) -> OpenError {
    OpenError::Damaged(error.into_store_error())
}

#[derive(PartialEq, Eq)]
pub(crate) enum Fit {
    Covers,
    Rebuild,
}

/// Whether the index belongs to this log. Only what was durable is ever indexed: an index that knows more than the log
/// holds says that the log has lost something, and that must not pass silently.
pub(crate) fn check_mark(log: &LogDb, mark: Mark, epoch: Epoch, head: Position) -> Result<Fit, ReadError> {
    if mark.epoch != epoch {
        return Ok(Fit::Rebuild);
    }
    if mark.position == Position::ZERO {
        return Ok(Fit::Covers);
    }
    if mark.position > head {
        let detail = "the log ends before events that were durable; restore it from a backup, or delete the index folder to \
                      go on with what is left";
        return Err(Damage { position: head.next(), detail }.into());
    }
    let mut fit = Fit::Rebuild;
    log.pages_from(mark.position, Direction::Forward, Tier::Disk, |page| {
        if page.last() == mark.position && page.checksum() == mark.checksum {
            fit = Fit::Covers;
        }
        false
    })?;
    Ok(fit)
}

/// Feeds the pages behind the index's mark into generations, and full ones into the index.
fn replay_into(
    replay: &mut Replay,
    index: &IndexDb,
    (epoch, chunk_events): (Epoch, usize),
    log: &LogDb,
    head: Position,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ReadError> {
    let Some(first) = log.first_page_behind(replay.last())? else { return Ok(()) };
    let mut outcome = Ok(());
    log.pages_from(first.first(), Direction::Forward, Tier::Disk, |page| {
        outcome = replay.add(&page).and_then(|()| match replay.take_full(chunk_events) {
            Some((generation, seal)) => {
                indexer::add_chunk(index, &generation, seal, epoch)?;
                tracing::info!(position = seal.position.get(), "indexed");
                Ok(())
            }
            None => Ok(()),
        });
        progress(Progress { done: page.last().get(), total: head.get() });
        outcome.is_ok() && page.last() < head
    })?;
    outcome
}
