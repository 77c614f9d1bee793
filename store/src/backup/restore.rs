//! Making a store of a backup. Its file `STORE` comes last: until then the folder is none, and the restore can be run again.

use std::{fs, io, path::Path};

use annalist_core::{Cursor, Epoch, Position, Progress};

use super::{
    BackupError, Backups, RestoreOptions, RestoreStep, Restored,
    copy::{copy, sync_dir},
    folder::Folder,
};
use crate::{
    clock,
    error::OpenError,
    folders,
    format::{Manifest, StoreFile},
    lock::Lock,
    recovery::{self, RESTORING},
    rocks::{LogDb, ReadError},
};

impl Backups {
    /// Makes a store of a backup, of the last one if no number is given, in a folder that is empty or not there. It reads
    /// everything that it restores, with all checksums.
    ///
    /// The store has the same id, and begins a new epoch: consumers that have seen no more than what is in it go on as if
    /// nothing had happened, others are told that they have seen what is no longer there.
    ///
    /// If it fails or is interrupted, the folder is no store; run it again with the same folder.
    ///
    /// # Errors
    /// [`BackupError`] says what is in the way.
    pub fn restore(
        &self,
        number: Option<u64>,
        target: impl AsRef<Path>,
        options: RestoreOptions,
        mut progress: impl FnMut(RestoreStep),
    ) -> Result<Restored, BackupError> {
        let (folder, target) = (self.folder(), target.as_ref());
        let span = tracing::info_span!("annalist.restore", dir = %target.display(), position = tracing::field::Empty);
        let _entered = span.enter();
        let _reading = folder.lock_for_reading()?;
        let manifest = folder.find(number)?;
        let (end, wanted) = (manifest.position, options.to.unwrap_or(manifest.position));
        if wanted > end {
            return Err(BackupError::Beyond { wanted, end });
        }
        let lock = prepare(target)?;
        let log_dir = target.join("log");
        copy_all(&folder, &manifest, &log_dir, &mut |done| progress(RestoreStep::Copying(done)))?;
        let log = LogDb::open(&log_dir, &options.store).map_err(|error| engine(&log_dir, &error))?;
        let at = if wanted < end { log.cut_behind(wanted) } else { Ok(end) };
        let at = at.map_err(ReadError::into_store_error)?;
        if at < end {
            take_earlier_notes(&folder, &manifest, target, &log, at)?;
        }
        drop(log);
        let identity = manifest.identity.restored(new_epoch(&manifest.identity), at);
        let (store, epoch) = (identity.id, identity.epoch);
        let mut told = |done| progress(RestoreStep::Indexing(done));
        let position = recovery::complete(target, lock, identity, options.store, &mut told)?;
        remove_marker(target)?;
        span.record("position", position.get());
        tracing::info!(number = manifest.number, %epoch, "restored a backup");
        let backup = Cursor { store, epoch: manifest.identity.epoch, position: end };
        Ok(Restored { head: Cursor { store, epoch, position }, backup })
    }
}

/// Sees to it that the folder is empty, but for what an interrupted restore left, and says that a restore has begun.
fn prepare(target: &Path) -> Result<Lock, BackupError> {
    fs::create_dir_all(target).map_err(BackupError::io("create", target))?;
    check_empty(target)?;
    folders::sync_names(target).map_err(BackupError::of_folder)?;
    let lock = Lock::take(target).map_err(BackupError::of_folder)?;
    let marker = target.join(RESTORING);
    let text = "a restore into this folder has begun; when it is done this file is gone\n";
    folders::write_whole(target, &marker, text).map_err(BackupError::io("write", &marker))?;
    for left in ["log", "index", NOTES] {
        match fs::remove_dir_all(target.join(left)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::io("remove", target.join(left))(error));
            }
            _ => {}
        }
    }
    Ok(lock)
}

fn check_empty(target: &Path) -> Result<(), BackupError> {
    let interrupted = target.join(RESTORING).exists() && !target.join("STORE").exists();
    for entry in fs::read_dir(target).map_err(BackupError::io("list", target))? {
        let name = entry.map_err(BackupError::io("list", target))?.file_name();
        let is_ours = match name.to_str() {
            Some("LOCK" | "RESTORING.new") => true,
            Some("log" | "index" | NOTES | RESTORING | "STORE.new") => interrupted,
            _ => false,
        };
        if !is_ours {
            let detail = format!("it holds {}", name.display());
            return Err(BackupError::Occupied { dir: target.to_owned(), detail });
        }
    }
    Ok(())
}

/// Copies the files of a backup to where a log is to be, and checks them.
fn copy_all(
    folder: &Folder,
    manifest: &Manifest,
    log_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), BackupError> {
    fs::create_dir(log_dir).map_err(BackupError::io("create", log_dir))?;
    let (mut done, total) = (0, manifest.byte_count());
    for file in &manifest.files {
        let from = folder.dir().join(&file.path);
        if !from.exists() {
            return Err(BackupError::damaged(from, "it is missing"));
        }
        let sum = copy(&from, &log_dir.join(&file.name), &mut |bytes| {
            done += bytes;
            progress(Progress { done, total });
        })?;
        sum.check(file).map_err(|detail| BackupError::damaged(from, detail))?;
    }
    sync_dir(log_dir)
}

/// Where the tables of an earlier backup are put together.
const NOTES: &str = "notes";

/// Consumers' notes say how far each had come at the end of the backup. A log that is taken back further gets those of the last
/// backup before, if there is one: by these, everything is still to be done whose outcome may lie behind the new end.
fn take_earlier_notes(
    folder: &Folder,
    manifest: &Manifest,
    target: &Path,
    log: &LogDb,
    at: Position,
) -> Result<(), BackupError> {
    let is_before = |earlier: &&Manifest| {
        earlier.number < manifest.number && earlier.identity.epoch == manifest.identity.epoch && earlier.position <= at
    };
    let manifests = folder.manifests()?;
    let Some(earlier) = manifests.iter().rev().find(is_before) else {
        tracing::warn!(
            "no earlier backup has consumers' notes from before position {at}: those of the backup are kept"
        );
        return Ok(());
    };
    let dir = target.join(NOTES);
    copy_all(folder, earlier, &dir, &mut |_| {})?;
    let notes = LogDb::open_linked(&dir, &crate::options::StoreOptions::default());
    notes.and_then(|notes| log.take_notes_of(&notes)).map_err(ReadError::into_store_error)?;
    fs::remove_dir_all(&dir).map_err(BackupError::io("remove", &dir))
}

/// An epoch that no earlier restore of the same backup can have begun: the seconds since 1970, if they are more than the next
/// number.
fn new_epoch(identity: &StoreFile) -> Epoch {
    let seconds = u32::try_from(clock::present().as_micros() / 1_000_000).unwrap_or(u32::MAX);
    Epoch::new(seconds.max(identity.epoch.get().saturating_add(1)))
}

fn remove_marker(target: &Path) -> Result<(), BackupError> {
    let marker = target.join(RESTORING);
    fs::remove_file(&marker).map_err(BackupError::io("remove", &marker))?;
    sync_dir(target)
}

fn engine(dir: &Path, error: &rocksdb::Error) -> BackupError {
    OpenError::Engine { dir: dir.to_owned(), detail: error.to_string() }.into()
}
