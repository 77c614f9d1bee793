//! Copying and reading files with their checksums.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use super::BackupError;
use crate::{folders, format::BackedUpFile};

/// Bytes that are read at once (1 MiB), and the steps in which progress is told.
const CHUNK_BYTES: usize = 1024 * 1024;

/// How many bytes a file holds, and their CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) bytes: u64,
    pub(super) crc32: u32,
}

impl Sum {
    /// Whether this is what the manifest says of the file.
    pub(super) fn check(self, file: &BackedUpFile) -> Result<(), String> {
        if self.bytes != file.bytes {
            return Err(format!("it has {} bytes instead of {}", self.bytes, file.bytes));
        }
        if self.crc32 != file.crc32 {
            return Err(format!("its checksum is {:08x} instead of {:08x}", self.crc32, file.crc32));
        }
        Ok(())
    }
}

/// Copies a file and syncs the copy. `told` hears of each piece, in bytes.
pub(super) fn copy(from: &Path, to: &Path, told: &mut dyn FnMut(u64)) -> Result<Sum, BackupError> {
    let mut copy = File::create(to).map_err(BackupError::io("create", to))?;
    let sum = pieces(from, |piece| {
        copy.write_all(piece).map_err(BackupError::io("write", to))?;
        told(piece.len() as u64);
        Ok(())
    })?;
    copy.sync_all().map_err(BackupError::io("sync", to))?;
    Ok(sum)
}

/// Reads a file.
pub(super) fn sum(path: &Path, told: &mut dyn FnMut(u64)) -> Result<Sum, BackupError> {
    pieces(path, |piece| {
        told(piece.len() as u64);
        Ok(())
    })
}

fn pieces(path: &Path, mut see: impl FnMut(&[u8]) -> Result<(), BackupError>) -> Result<Sum, BackupError> {
    let mut file = File::open(path).map_err(BackupError::io("open", path))?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut bytes, mut hasher) = (0, crc32fast::Hasher::new());
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(Sum { bytes, crc32: hasher.finalize() }),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::io("read", path)(error)),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        hasher.update(piece);
        bytes += piece.len() as u64;
        see(piece)?;
    }
}

/// Makes the entries of a folder durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    folders::sync(dir).map_err(BackupError::io("sync", dir))
}
