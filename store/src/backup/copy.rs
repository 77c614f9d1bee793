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

/// How often a file is copied that is not read twice alike.
const COPIES_MAX: u32 = 3;

/// [`copy`], and reads the file once more: a bit that was wrong in the one reading would stand in the copy, with a checksum that
/// fits it. Copies again what was not read alike. `told` hears of each byte once.
pub(super) fn copy_surely(from: &Path, to: &Path, told: &mut dyn FnMut(u64)) -> Result<Sum, BackupError> {
    for attempt in 0..COPIES_MAX {
        let copied = copy(from, to, &mut |bytes| {
            if attempt == 0 {
                told(bytes);
            }
        })?;
        let read = sum(from, &mut |_| {})?;
        if read == copied {
            return Ok(copied);
        }
        tracing::warn!(file = %from.display(), ?copied, ?read, "two readings of a file differ: it is copied again");
    }
    let detail = "it reads differently each time: look at the disk and the memory of this machine";
    Err(BackupError::io("copy", from)(io::Error::new(io::ErrorKind::InvalidData, detail)))
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::FileExt as _};

    use super::*;

    #[test]
    fn a_file_that_was_not_read_alike_is_copied_again() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut bytes = vec![7; 3 * CHUNK_BYTES / 2];
        fs::write(&from, &bytes).unwrap();
        let mut told_of = 0;
        // What the first reading saw was wrong: afterwards the file reads otherwise.
        let sum = copy_surely(&from, &to, &mut |count| {
            told_of += count;
            bytes[5] = 8;
            File::options().write(true).open(&from).unwrap().write_all_at(&[8], 5).unwrap();
        });
        let sum = sum.unwrap();
        assert_eq!(told_of, bytes.len() as u64, "each byte once");
        assert!(fs::read(&to).unwrap() == bytes, "the copy has what two readings agree on");
        assert_eq!(sum, Sum { bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) });
    }
}
