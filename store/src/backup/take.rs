//! Making a backup: link, check, copy what is new, and write the manifest last.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use annalist_core::{Backup, Position, Progress};

use super::{
    BackupError, BackupOptions,
    copy::{Sum, copy_surely, sync_dir},
    described,
    folder::Folder,
};
use crate::{
    clock, folders,
    format::{BackedUpFile, MANIFEST_FILE, Manifest, Page},
    recovery::STAGING,
    rocks::{LogDb, ReadError, log_files, table_number},
    shared::Shared,
};

/// See the module.
pub(super) fn take(
    shared: &Shared,
    folder: &Folder,
    options: &BackupOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Backup, BackupError> {
    let time = clock::present();
    let dir = folder.dir();
    let span = tracing::info_span!("annalist.backup", dir = %dir.display(), position = tracing::field::Empty);
    let _entered = span.enter();
    let _lock = folder.lock_for_writing()?;
    let mut whole = folder.manifests()?;
    if let Some(other) = whole.iter().find(|manifest| manifest.identity.id != shared.identity.id) {
        let detail = format!("it holds backups of the store {}, this is {}", other.identity.id, shared.identity.id);
        return Err(BackupError::Unfit { dir: dir.to_owned(), detail });
    }
    folder.tidy(&whole)?;
    let staged = Staged::new(shared)?;
    let last = whole.iter().rev().find(|manifest| manifest.identity.epoch == shared.identity.epoch);
    let (position, checksum) = staged.link(last)?;
    let number = folder.next_number()?;
    let (files, added_bytes) = copy_new(folder, &staged, shared, &whole, number, &mut progress)?;
    progress(Progress { done: added_bytes, total: added_bytes });
    let identity = shared.identity.clone();
    let manifest = Manifest { number, time, identity, position, checksum, added_bytes, files };
    // Before the manifest says that it is there, everything else has to be.
    for dir in [&folder.shared_files(), &folder.of(number), dir] {
        sync_dir(dir)?;
    }
    let path = folder.of(number).join(MANIFEST_FILE);
    folders::write_whole(&folder.of(number), &path, &manifest.encode()).map_err(BackupError::io("write", &path))?;
    span.record("position", position.get());
    tracing::info!(number, added_bytes, "made a backup");
    let backup = described(&manifest);
    whole.push(manifest);
    let surplus = options.keep.map_or(0, |keep| whole.len().saturating_sub(keep.get()));
    for manifest in whole.drain(..surplus) {
        folder.remove(manifest.number)?;
    }
    if surplus > 0 {
        folder.tidy(&whole)?;
    }
    Ok(backup)
}

/// The log as it was at one moment, linked in the folder of the store; removed when dropped.
struct Staged<'a> {
    shared: &'a Shared,
    dir: PathBuf,
    /// What was durable before.
    watermark: Position,
    _alone: parking_lot::MutexGuard<'a, ()>,
}

/// How often it is tried to link the log.
const LINKS_MAX: u32 = 10;

impl<'a> Staged<'a> {
    fn new(shared: &'a Shared) -> Result<Self, BackupError> {
        let log = shared.log.dir();
        let store = log.parent().unwrap_or(log);
        let busy = || BackupError::Busy { dir: store.to_owned(), holder: "another backup of it".to_owned() };
        let alone = shared.backing_up.try_lock().ok_or_else(busy)?;
        // What became of a failed write is for recovery to find out.
        if let Some(poisoned) = shared.poisoned() {
            return Err(store_error(ReadError::Poisoned(poisoned.to_string())));
        }
        Ok(Self { shared, dir: store.join(STAGING), watermark: shared.watermark(), _alone: alone })
    }

    /// Links the log, and reads what is new since the last backup. Returns where the log ends, and the checksum of its last page.
    fn link(&self, last: Option<&Manifest>) -> Result<(Position, u32), BackupError> {
        let mut linked = self.try_to_link();
        for _ in 1..LINKS_MAX {
            let Err(error) = &linked else { break };
            tracing::debug!(%error, "linking the log again");
            linked = self.try_to_link();
        }
        let known = last.map_or((Position::ZERO, 0), |last| (last.position, last.checksum));
        let end = linked?.check_pages(known).map_err(store_error)?;
        Ok(end.as_ref().map_or((Position::ZERO, 0), |page| (Page::last(page), page.checksum())))
    }

    /// Beside writes RocksDB 11.8 does not always succeed. It flushes first, and waits for the memtable of one column family as if
    /// it were that of the other (`DBImpl::AtomicFlushMemTables`): while an earlier flush is under way, it may link before its
    /// own is done. And it copies write-ahead logs, which nobody needs here, and fails when one that is recycled becomes shorter
    /// meanwhile.
    fn try_to_link(&self) -> Result<LogDb, BackupError> {
        if self.dir.exists() {
            self.remove()?;
        }
        self.shared.log.link_to(&self.dir).map_err(store_error)?;
        let log = LogDb::open_linked(&self.dir, &self.shared.options).map_err(store_error)?;
        let last = log.last_page().map_err(store_error)?;
        let position = last.as_ref().map_or(Position::ZERO, Page::last);
        if position < self.watermark {
            let detail = "the tables of the log end before events that were durable; verify the store";
            return Err(store_error(crate::format::Damage { position: position.next(), detail }.into()));
        }
        Ok(log)
    }

    fn remove(&self) -> Result<(), BackupError> {
        fs::remove_dir_all(&self.dir).map_err(BackupError::io("remove", &self.dir))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if self.dir.exists()
            && let Err(error) = self.remove()
        {
            tracing::warn!(%error, dir = %self.dir.display(), "what was linked for a backup is not removed; the next one does it");
        }
    }
}

/// Copies what no backup has yet. Returns all files, and the bytes that are new.
fn copy_new(
    folder: &Folder,
    staged: &Staged<'_>,
    shared: &Shared,
    whole: &[Manifest],
    number: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<BackedUpFile>, u64), BackupError> {
    let own = folder.of(number);
    fs::create_dir(&own).map_err(BackupError::io("create", &own))?;
    let files = log_files(&staged.dir).map_err(BackupError::io("list", &staged.dir))?;
    let of_epoch = whole.iter().rev().filter(|manifest| manifest.identity.epoch == shared.identity.epoch);
    // Of tables that were copied more than once the one of the last backup, if that is still there.
    let mut known: HashMap<&str, Vec<&BackedUpFile>> = HashMap::new();
    for file in of_epoch.flat_map(|manifest| &manifest.files) {
        let copies = known.entry(&file.name).or_default();
        if copies.iter().all(|copy| copy.path != file.path) {
            copies.push(file);
        }
    }
    let mut backed_up = Vec::new();
    let mut wanted = Vec::new();
    for (name, metadata) in files {
        let mut copies = known.get(name.as_str()).into_iter().flatten();
        match copies.find(|file| is_same(file, &name, &metadata) && is_there(folder, file)) {
            Some(same) => backed_up.push((*same).clone()),
            None => wanted.push((name, metadata)),
        }
    }
    let (mut done, total) = (0, wanted.iter().map(|(_, metadata)| metadata.len()).sum());
    progress(Progress { done, total });
    for (name, metadata) in wanted {
        let table = table_number(&name);
        let dir = if table.is_some() { folder.shared_files() } else { own.clone() };
        let draft = dir.join(format!("{name}.new"));
        let Sum { bytes, crc32 } = copy_surely(&staged.dir.join(&name), &draft, &mut |bytes| {
            done += bytes;
            progress(Progress { done, total });
        })?;
        let kept = match table {
            Some(number) => format!("{number}-{crc32:08x}.sst"),
            None => name.clone(),
        };
        let path = dir.join(&kept);
        fs::rename(&draft, &path).map_err(BackupError::io("rename", &draft))?;
        let path = path.strip_prefix(folder.dir()).unwrap_or(&path).to_string_lossy().into_owned();
        backed_up.push(BackedUpFile { name, path, bytes, crc32, modified_nanos: modified_nanos(&metadata) });
    }
    Ok((backed_up, done))
}

/// Whether a table of the log is the one that was copied before: tables are never changed once they are written.
fn is_same(file: &BackedUpFile, name: &str, metadata: &Metadata) -> bool {
    table_number(name).is_some()
        && file.name == name
        && file.bytes == metadata.len()
        && file.modified_nanos == modified_nanos(metadata)
}

fn is_there(folder: &Folder, file: &BackedUpFile) -> bool {
    let is_whole = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() == file.bytes);
    is_whole(&folder.dir().join(&file.path))
}

fn modified_nanos(metadata: &Metadata) -> u128 {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    modified.unwrap_or_default().as_nanos()
}

fn store_error(error: ReadError) -> BackupError {
    BackupError::Store(error.into_store_error())
}
