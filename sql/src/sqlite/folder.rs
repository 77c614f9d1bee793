//! The files of a view.
//!
//! ```text
//! view-<id>.db (-wal, -shm)    an instance
//! live.db                      a link to the live one
//! ```
//!
//! These names never change. Ids grow with time and are never used again: nobody who has an old file open can meet the
//! files of a new one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::error::SqlError;

const LIVE: &str = "live.db";
/// What becomes the link to the live file by being renamed.
const NEXT: &str = "live.db.next";
/// What belongs to a file of SQLite: itself first, so that nobody finds it without the others.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// See the module.
#[derive(Clone)]
pub(super) struct Folder(Arc<Path>);

impl Folder {
    /// The folder, which is made if it is not there.
    pub(super) async fn make(path: &Path) -> Result<Self, SqlError> {
        let folder = Self(path.into());
        folder.call(|folder| fs::create_dir_all(folder)).await?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The file of an instance.
    pub(super) fn file(&self, id: &str) -> PathBuf {
        self.0.join(file_name(id))
    }

    /// Whether an instance is there.
    pub(super) async fn has(&self, id: &str) -> Result<bool, SqlError> {
        let file = self.file(id);
        self.call(move |_| file.try_exists()).await
    }

    /// All instances.
    pub(super) async fn list(&self) -> Result<Vec<String>, SqlError> {
        self.call(|folder| {
            let mut ids = Vec::new();
            for entry in fs::read_dir(folder)? {
                ids.extend(id_of(&entry?.file_name()));
            }
            Ok(ids)
        })
        .await
    }

    /// The live instance.
    pub(super) async fn live(&self) -> Result<Option<String>, SqlError> {
        self.call(|folder| match fs::read_link(folder.join(LIVE)) {
            Ok(file) => Ok(file.file_name().and_then(id_of)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Makes an instance the live one, durably, in one step.
    pub(super) async fn point(&self, id: &str) -> Result<(), SqlError> {
        let file = file_name(id);
        self.call(move |folder| {
            let next = folder.join(NEXT);
            remove_if_there(&next)?;
            symlink(file, &next)?;
            fs::rename(&next, folder.join(LIVE))?;
            File::open(folder)?.sync_all()
        })
        .await
    }

    /// Removes an instance, if it is there.
    pub(super) async fn remove(&self, id: &str) -> Result<(), SqlError> {
        let file = file_name(id);
        self.call(move |folder| {
            PARTS.iter().try_for_each(|part| remove_if_there(&folder.join(format!("{file}{part}"))))
        })
        .await
    }

    /// Calls what may wait for the disk where that is allowed.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SqlError> {
        let folder = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.unwrap_or_else(|ended| Err(io::Error::other(ended)))
            .map_err(|source| SqlError::Files { folder: self.0.to_path_buf(), source })
    }
}

fn file_name(id: &str) -> String {
    format!("view-{id}.db")
}

fn id_of(file: &std::ffi::OsStr) -> Option<String> {
    Some(file.to_str()?.strip_prefix("view-")?.strip_suffix(".db")?.to_owned())
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
