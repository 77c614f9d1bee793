//! The MANIFEST of a database: a log of the same kind as the write-ahead log, never recycled. RocksDB expects more of it than a
//! disk promises, so it is read here first.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::reader::{Entry, Reader};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// The MANIFEST that the database in a folder has at present, if there is one.
fn present(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(fs::read_to_string(dir.join("CURRENT")).ok()?.trim_end()))
}

/// Whether RocksDB would never come to an end with the MANIFEST of the database in a folder. What else is wrong with it RocksDB
/// says.
pub(crate) fn manifest_stalls(dir: &Path) -> bool {
    let bytes = present(dir).and_then(|path| fs::read(path).ok()).unwrap_or_default();
    examine(&bytes).is_ok_and(|examined| examined.stalls)
}

/// Cuts off the torn end of a MANIFEST. A power failure may leave the size of what was being appended and not all of its
/// sectors: RocksDB takes that for damage, though nothing of it was synced, and does not open. It is torn if nothing can be read
/// behind the first bad byte and a whole sector there is zeros; anything else is left alone.
///
/// Tells whether RocksDB would never come to an end with what is left.
pub(crate) fn mend_manifest(dir: &Path) -> io::Result<bool> {
    let Some(path) = present(dir).filter(|path| path.exists()) else { return Ok(false) };
    let bytes = fs::read(&path)?;
    let Examined { torn_at, stalls } = examine(&bytes)?;
    let Some(end) = torn_at else { return Ok(stalls) };
    tracing::warn!(file = %path.display(), end, "the end of a MANIFEST is torn, as a power failure leaves it: it is cut off");
    let file = File::options().write(true).open(&path)?;
    file.set_len(end as u64)?;
    file.sync_all()?;
    Ok(examine(bytes.get(..end).unwrap_or_default())?.stalls)
}

/// What is wrong with a MANIFEST.
struct Examined {
    /// Where its torn end begins.
    torn_at: Option<usize>,
    stalls: bool,
}

fn examine(bytes: &[u8]) -> io::Result<Examined> {
    let mut reader = Reader::not_recycled(bytes);
    let mut gap = None;
    while let Some(entry) = reader.next()? {
        gap = match entry {
            Entry::Gap(offset) => usize::try_from(offset).ok(),
            // What begins and does not end is followed by the gap that it ends in.
            Entry::Beginning => gap,
            Entry::Whole => None,
        };
    }
    let torn = gap.filter(|gap| {
        let sectors = (gap / SECTOR_BYTES..).map(|sector| sector * SECTOR_BYTES).take_while(|at| *at < bytes.len());
        let parts = sectors.filter_map(|at| bytes.get(at.max(*gap)..(at + SECTOR_BYTES).min(bytes.len())));
        parts.into_iter().any(|part| part.iter().all(|byte| *byte == 0))
    });
    Ok(Examined { torn_at: torn, stalls: reader.stalls() })
}
