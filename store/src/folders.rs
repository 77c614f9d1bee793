//! Folders and small files, made so that a power failure does not take them away again.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use crate::error::OpenError;

/// Makes the folders of the databases. What is synced in a folder is not there after a power failure unless the folder's own
/// name was synced too, which RocksDB leaves to us; it may also have been made by a process that died before it came to that.
pub(crate) fn make(dir: &Path, folders: [&Path; 2]) -> Result<(), OpenError> {
    for folder in folders {
        fs::create_dir_all(folder).map_err(OpenError::io("create", folder))?;
    }
    sync(dir).map_err(OpenError::io("sync", dir))
}

/// Makes the names in a folder durable.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of a new store's folder durable, and those of the folders that it is in: they may be as new.
pub(crate) fn sync_names(dir: &Path) -> Result<(), OpenError> {
    let whole = dir.canonicalize().map_err(OpenError::io("find", dir))?;
    for folder in whole.ancestors().skip(1) {
        match sync(folder) {
            // Whoever may not read a folder has not made it; some file systems have nothing to sync.
            Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => {
                break;
            }
            synced => synced.map_err(OpenError::io("sync", folder))?,
        }
    }
    Ok(())
}

/// Writes a small file, whole or not at all.
pub(crate) fn write_whole(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync(dir)
}
