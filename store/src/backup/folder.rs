//! The folder of backups: what lies in it, who may change it, and what is left over.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use annalist_core::{Backup, DamagedFile, Progress};

use super::{
    BackupError, Backups,
    copy::{sum, sync_dir},
    described,
};
use crate::{
    folders,
    format::{MANIFEST_FILE, Manifest},
    lock::Lock,
};

/// See the module.
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the files are that backups share.
    pub(super) fn shared_files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// The folder of one backup.
    pub(super) fn of(&self, number: u64) -> PathBuf {
        self.dir.join(folder_name(number))
    }

    /// Makes the folder if it is not there, and keeps everybody else out of it.
    pub(super) fn lock_for_writing(&self) -> Result<Lock, BackupError> {
        fs::create_dir_all(self.shared_files()).map_err(BackupError::io("create", self.shared_files()))?;
        folders::sync_names(&self.dir).map_err(BackupError::of_folder)?;
        Lock::take(&self.dir).map_err(BackupError::of_folder)
    }

    /// Keeps out who would change the folder. One that cannot be locked, as on a medium that is read-only, is not changed either.
    pub(super) fn lock_for_reading(&self) -> Result<Option<File>, BackupError> {
        let Ok(file) = File::open(self.dir.join("LOCK")) else { return Ok(None) };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                Err(BackupError::Busy { dir: self.dir.clone(), holder: "a backup that is being made".to_owned() })
            }
            Err(TryLockError::Error(error)) => Err(BackupError::io("lock", self.dir.join("LOCK"))(error)),
        }
    }

    /// The numbers of the folders of backups, whole or not, in order.
    fn numbers(&self) -> Result<Vec<u64>, BackupError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(BackupError::io("list", &self.dir))?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(BackupError::io("list", &self.dir))?.file_name();
            let number = name.to_str().and_then(|name| Some((name, name.parse::<u64>().ok()?)));
            numbers.extend(number.filter(|(name, number)| *name == folder_name(*number)).map(|(_, number)| number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The manifest of a backup; `None` if it is not whole.
    fn manifest(&self, number: u64) -> Result<Option<Manifest>, BackupError> {
        let path = self.of(number).join(MANIFEST_FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(BackupError::io("read", &path))?,
        };
        let text = String::from_utf8(text).map_err(|_| BackupError::damaged(&path, "it is not text"))?;
        let manifest = Manifest::decode(&text).map_err(|detail| BackupError::damaged(&path, detail))?;
        if manifest.number != number {
            return Err(BackupError::damaged(&path, format!("it is of backup {}", manifest.number)));
        }
        Ok(Some(manifest))
    }

    /// The manifests of all whole backups, oldest first.
    pub(super) fn manifests(&self) -> Result<Vec<Manifest>, BackupError> {
        self.numbers()?.into_iter().filter_map(|number| self.manifest(number).transpose()).collect()
    }

    /// The manifest of this backup, or of the last one.
    pub(super) fn find(&self, number: Option<u64>) -> Result<Manifest, BackupError> {
        let unfit = |detail| BackupError::Unfit { dir: self.dir.clone(), detail };
        if let Some(number) = number {
            return self.manifest(number)?.ok_or_else(|| unfit(format!("it has no backup {number}")));
        }
        for number in self.numbers()?.into_iter().rev() {
            if let Some(manifest) = self.manifest(number)? {
                return Ok(manifest);
            }
        }
        Err(unfit("there is no backup in it".to_owned()))
    }

    /// The number that the next backup gets.
    pub(super) fn next_number(&self) -> Result<u64, BackupError> {
        Ok(self.numbers()?.last().map_or(1, |last| last + 1))
    }

    /// Removes a backup, its manifest first. The files that it shares stay.
    pub(super) fn remove(&self, number: u64) -> Result<(), BackupError> {
        let dir = self.of(number);
        let manifest = dir.join(MANIFEST_FILE);
        match fs::remove_file(&manifest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::io("remove", &manifest)(error));
            }
            _ => sync_dir(&dir)?,
        }
        fs::remove_dir_all(&dir).map_err(BackupError::io("remove", &dir))
    }

    /// Removes what belongs to none of these backups: what was left by one that was not finished, or was removed.
    pub(super) fn tidy(&self, whole: &[Manifest]) -> Result<(), BackupError> {
        for number in self.numbers()? {
            if !whole.iter().any(|manifest| manifest.number == number) {
                self.remove(number)?;
            }
        }
        let used: HashSet<PathBuf> =
            whole.iter().flat_map(|manifest| &manifest.files).map(|file| self.dir.join(&file.path)).collect();
        let files = self.shared_files();
        for entry in fs::read_dir(&files).map_err(BackupError::io("list", &files))? {
            let path = entry.map_err(BackupError::io("list", &files))?.path();
            if !used.contains(&path) {
                fs::remove_file(&path).map_err(BackupError::io("remove", &path))?;
            }
        }
        sync_dir(&files)
    }
}

fn folder_name(number: u64) -> String {
    format!("{number:06}")
}

impl Backups {
    pub(super) fn folder(&self) -> Folder {
        Folder::new(self.dir.clone())
    }

    /// The backups in the folder, oldest first. Ones that were not finished are none. One whose manifest is damaged stands there
    /// as that, and no new one is made until its folder is removed.
    ///
    /// # Errors
    /// [`BackupError::Io`] when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Backup, DamagedFile>>, BackupError> {
        let folder = self.folder();
        let manifests = folder.numbers()?.into_iter().filter_map(|number| folder.manifest(number).transpose());
        let listed = manifests.map(|manifest| match manifest {
            Ok(manifest) => Ok(Ok(described(&manifest))),
            Err(BackupError::Damaged(file)) => Ok(Err(file)),
            Err(error) => Err(error),
        });
        listed.collect()
    }

    /// Reads all files of a backup, or of the last one, and returns those that are not as they were written. `progress` is told
    /// in bytes.
    ///
    /// # Errors
    /// [`BackupError::Unfit`] when there is no such backup, [`BackupError::Damaged`] when its manifest is.
    pub fn verify(
        &self,
        number: Option<u64>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Vec<DamagedFile>, BackupError> {
        let folder = self.folder();
        let _lock = folder.lock_for_reading()?;
        let manifest = folder.find(number)?;
        let (mut done, total) = (0, manifest.byte_count());
        let mut damaged = Vec::new();
        for file in &manifest.files {
            let path = folder.dir().join(&file.path);
            let read = sum(&path, &mut |bytes| {
                done += bytes;
                progress(Progress { done, total });
            });
            let checked = match read {
                Ok(sum) => sum.check(file),
                Err(BackupError::Io { doing, source, .. }) => Err(format!("cannot {doing} it: {source}")),
                Err(error) => return Err(error),
            };
            damaged.extend(checked.err().map(|detail| DamagedFile { path, detail }));
        }
        Ok(damaged)
    }
}
