//! Opening a store: the lock, the identity, the two databases, and what the index does not cover yet.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    sync::Arc,
};

use annalist_core::{Direction, Epoch, Fingerprint, Key, Position, Progress, RecordedEvent, StoreId, Timestamp};
use fs4::fs_std::FileExt as _;
use rocksdb::Cache;
use uuid::Uuid;

use crate::{
    error::OpenError,
    folders,
    format::{Damage, Item, KeyRow, Kind, Mark, Page, StoreFile, Totals},
    indexer, limits,
    options::StoreOptions,
    rocks::{IndexDb, LogDb, ReadError, Tier, check_wal},
    sequencer::Start,
    shared::Shared,
    tail::{Generation, Seal, View},
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
    lock: File,
    identity: StoreFile,
    options: StoreOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Position, OpenError> {
    let path = dir.join("STORE");
    let text = identity.encode();
    // Held until it is a store.
    let held = lock.try_clone().map_err(OpenError::io("lock", dir))?;
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
    let lock = take_lock(dir)?;
    let identity = identity(dir)?;
    open_locked(dir, lock, identity, options, wanted, progress)
}

fn open_locked(
    dir: &Path,
    lock: File,
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
    wal::mend_manifest(&log_dir).map_err(OpenError::io("mend the MANIFEST in", &log_dir))?;
    if wal::manifest_stalls(&log_dir) {
        let detail = "the MANIFEST of the log is damaged; nothing was changed: keep a copy of the store's folder and \
                      restore a backup";
        return Err(damaged(Damage { position: Position::ZERO, detail }.into()));
    }
    let expected = check_wal(&log_dir, &options, indexed)?;
    let log = open_engine(&log_dir, |path| LogDb::open(path, &options))?;
    let synced = expected.complete(&log).map_err(damaged)?;
    let last_page = log.last_page().map_err(damaged)?;
    let head = last_page.as_ref().map_or(Position::ZERO, Page::last);
    if head < synced {
        let detail = "the log ends before events that were durable; restore it from a backup";
        return Err(damaged(Damage { position: head.next(), detail }.into()));
    }
    let fit = mark.map_or(Ok(Fit::Rebuild), |mark| check_mark(&log, mark, identity.epoch, head)).map_err(damaged)?;
    let (index, covered) = if let (Fit::Covers, Some(mark), Index::Kept) = (fit, mark, wanted) {
        (index, mark)
    } else {
        if head > Position::ZERO {
            tracing::warn!(head = head.get(), "the index is missing or does not fit the log: rebuilding it");
        }
        drop(index);
        remove_dir(&index_dir)?;
        let nothing = Mark { epoch: identity.epoch, position: Position::ZERO, checksum: 0, totals: Totals::default() };
        (open_index(&index_dir, &cache)?, nothing)
    };
    let mut replay = Replay {
        index: &index,
        epoch: identity.epoch,
        chunk_events: options.index_chunk_events,
        generation: Generation::behind(covered.position, covered.totals),
        last: covered.position,
        checksum: covered.checksum,
        time: Timestamp::default(),
        key: None,
    };
    replay.run(&log, head, progress).map_err(damaged)?;
    let time = match (replay.last > covered.position, &last_page) {
        (false, Some(page)) => page.record(head).map_err(|damage| damaged(damage.into()))?.time,
        _ => replay.time,
    };
    let start = Start { last: head, checksum: replay.checksum, time };
    let view = View::of(Arc::new(replay.generation));
    tracing::Span::current().record("position", head.get());
    tracing::info!(indexed = covered.position.get(), "opened the store");
    let shared = Arc::new(Shared::new(identity, options, log, index, view, head, lock));
    Ok(Opened { shared, start })
}

pub(crate) fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = file.map_err(OpenError::io("open", &path))?;
    if !file.try_lock_exclusive().map_err(OpenError::io("lock", &path))? {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
        return Err(OpenError::Locked { dir: dir.to_owned(), holder });
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "process {}", std::process::id())
    };
    write(&mut file).map_err(OpenError::io("write", &path))?;
    Ok(file)
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

fn open_engine<T>(path: &Path, open: impl FnOnce(&Path) -> Result<T, rocksdb::Error>) -> Result<T, OpenError> {
    open(path).map_err(|error| OpenError::Engine { dir: path.to_owned(), detail: error.into_string() })
}

/// Opens the index; a damaged one is removed, since the log has everything that is in it.
fn open_index(dir: &Path, cache: &Cache) -> Result<IndexDb, OpenError> {
    if wal::manifest_stalls(dir) {
        tracing::warn!("the MANIFEST of the index is damaged: rebuilding it");
        remove_dir(dir)?;
    }
    match IndexDb::open(dir, cache) {
        Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => {
            tracing::warn!(%error, "the index is damaged: rebuilding it");
            remove_dir(dir)?;
            open_engine(dir, |path| IndexDb::open(path, cache))
        }
        opened => open_engine(dir, |_| opened),
    }
}

pub(crate) fn remove_dir(path: &Path) -> Result<(), OpenError> {
    fs::remove_dir_all(path).map_err(OpenError::io("remove", path))
}

fn damaged(error: ReadError) -> OpenError {
    OpenError::Damaged(error.into_store_error())
}

enum Fit {
    Covers,
    Rebuild,
}

/// Whether the index belongs to this log. Only what was durable is ever indexed: an index that knows more than the log
/// holds says that the log has lost something, and that must not pass silently.
fn check_mark(log: &LogDb, mark: Mark, epoch: Epoch, head: Position) -> Result<Fit, ReadError> {
    if mark.epoch != epoch {
        return Ok(Fit::Rebuild);
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
struct Replay<'a> {
    index: &'a IndexDb,
    epoch: Epoch,
    chunk_events: usize,
    generation: Generation,
    last: Position,
    checksum: u32,
    time: Timestamp,
    /// The key of the commit whose first record comes next.
    key: Option<(Key, Fingerprint, u32)>,
}

impl Replay<'_> {
    fn run(&mut self, log: &LogDb, head: Position, progress: &mut dyn FnMut(Progress)) -> Result<(), ReadError> {
        let Some(first) = log.first_page_behind(self.last)? else { return Ok(()) };
        let mut outcome = Ok(());
        // A chunk may end only where a commit does: `left` counts the events that the commit in progress still has.
        let mut left = 0_u32;
        log.pages_from(first.first(), Direction::Forward, Tier::Disk, |page| {
            outcome = self.page(&page, &mut left);
            progress(Progress { done: page.last().get(), total: head.get() });
            outcome.is_ok() && page.last() < head
        })?;
        outcome
    }

    fn page(&mut self, page: &Page, left: &mut u32) -> Result<(), ReadError> {
        page.require_sound()?;
        if page.first() != self.last.next() || page.previous_checksum() != self.checksum {
            let detail = "a page does not follow the one before it: pages are missing or from another log";
            return Err(Damage { position: page.first(), detail }.into());
        }
        for item in page.items() {
            match item? {
                Item::Frame(frame) => {
                    *left = frame.count;
                    self.key = match frame.keyed {
                        None => None,
                        Some(keyed) => {
                            Some((read_key(&keyed.scope, &keyed.id, self.last)?, keyed.fingerprint, frame.count))
                        }
                    };
                }
                Item::Record(record) => {
                    let slot = u32::try_from(record.position.get() - page.first().get()).unwrap_or(u32::MAX);
                    if let Some((key, fingerprint, count)) = self.key.take() {
                        self.generation.add_key(key, KeyRow { fingerprint, first: record.position, count, slot });
                    }
                    self.add(&record, slot);
                    self.time = record.time;
                    self.last = record.position;
                    *left = left.saturating_sub(1);
                }
            }
        }
        self.checksum = page.checksum();
        let full = self.generation.event_count() >= self.chunk_events
            || self.generation.byte_count() >= limits::GENERATION_BYTES_MAX;
        if full && *left == 0 {
            self.flush()?;
        }
        Ok(())
    }

    fn add(&self, record: &RecordedEvent, slot: u32) {
        let places = &[(record.position, slot)];
        let generation = &self.generation;
        generation.add_events(record.stream(), record.version, places, record.body_bytes() as u64);
        generation.add_to_list(Kind::Category, record.category(), places);
        generation.add_to_list(Kind::Type, record.type_name(), places);
        for (at, tag) in record.tags().enumerate() {
            if !record.tags().take(at).any(|earlier| earlier == tag) {
                generation.add_to_list(Kind::Tag, tag, places);
            }
        }
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        let seal = Seal { position: self.last, checksum: self.checksum };
        indexer::add_chunk(self.index, &self.generation, seal, self.epoch)?;
        tracing::info!(position = self.last.get(), "indexed");
        self.generation = Generation::behind(self.last, self.generation.totals());
        Ok(())
    }
}

fn read_key(scope: &[u8], id: &[u8], after: Position) -> Result<Key, ReadError> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let key = text(scope).zip(text(id)).and_then(|(scope, id)| Key::new(scope, id).ok());
    key.ok_or_else(|| Damage { position: after.next(), detail: "the key of a commit is malformed" }.into())
}
