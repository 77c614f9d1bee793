//! The file `LOCK` of a store's folder: who has it open, held by the system, and up to where the log is durable, for those who
//! read beside it (ADR 63).
//!
//! | line | |
//! |---|---|
//! | `process 1234` | the process that has the folder, or had it last; padded, so that all files of this kind are of one length |
//! | `opening 0192…` | a name of its own for each time that the folder was taken |
//! | `durable 00000000000000000042 8c0ffee0` | the last durable position, and the CRC-32 of all that stands before it |
//!
//! The last line is written again after each group, before its appends are answered, and never synced: what it says was durable
//! before it was said, so any older line is as true. Whoever takes the folder next leaves it as it is until the log is open.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

use annalist_core::Position;
use fs4::fs_std::FileExt as _;
use uuid::Uuid;

use crate::error::OpenError;

/// A folder that nobody else can take.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// The lines before the last one.
    head: String,
}

impl Lock {
    /// Takes a folder that is there.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if another process has it, or another part of this one.
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("LOCK");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(OpenError::io("open", &path))?;
        let text = |file: &File| io::read_to_string(file).unwrap_or_default();
        if !file.try_lock_exclusive().map_err(OpenError::io("lock", &path))? {
            let holder = text(&file).lines().next().unwrap_or_default().trim().to_owned();
            let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
            return Err(OpenError::Locked { dir: dir.to_owned(), holder });
        }
        let durable = Note::decode(&text(&file)).unwrap_or_default().durable;
        let head = format!("process {:<10}\nopening {}\n", std::process::id(), new_name());
        let all = durable.map_or_else(|| head.clone(), |durable| with_durable(&head, durable));
        // In one write, so that nobody finds half of it.
        let written = file.write_all_at(all.as_bytes(), 0).and_then(|()| file.set_len(all.len() as u64));
        written.map_err(OpenError::io("write", &path))?;
        Ok(Self { file, head })
    }

    /// The file, by which the folder stays taken.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Says that the log is durable up to here. If it cannot be said, those who read beside this store see it a little later: with
    /// the next group, or when the tables have it.
    pub(crate) fn note(&self, durable: Position) {
        let all = with_durable(&self.head, durable);
        if let Some(line) = all.get(self.head.len()..) {
            let _ = self.file.write_all_at(line.as_bytes(), self.head.len() as u64);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it tells one opening from the next, and nothing is derived from it")]
fn new_name() -> Uuid {
    Uuid::now_v7()
}

fn with_durable(head: &str, durable: Position) -> String {
    let mut all = format!("{head}durable {:020}", durable.get());
    let checksum = crc32fast::hash(all.as_bytes());
    let _ = writeln!(all, " {checksum:08x}");
    all
}

/// What the file says to those who do not hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// Which opening of the folder wrote it; empty if that cannot be read.
    pub(crate) opening: String,
    /// Up to here the log is durable; `None` if that is not known: the store was never open, or not with this version, or the
    /// line is being written.
    pub(crate) durable: Option<Position>,
}

impl Note {
    /// Reads it, held or not. A folder without the file says nothing.
    pub(crate) fn read(dir: &Path) -> Self {
        fs::read_to_string(dir.join("LOCK")).ok().and_then(|text| Self::decode(&text)).unwrap_or_default()
    }

    fn decode(text: &str) -> Option<Self> {
        let (head, last) = text.trim_end().rsplit_once('\n')?;
        let Some(last) = last.strip_prefix("durable ") else {
            let opening = last.strip_prefix("opening ")?.to_owned();
            return Some(Self { opening, durable: None });
        };
        let opening = head.lines().find_map(|line| line.strip_prefix("opening "))?.to_owned();
        let durable = last.split_once(' ').and_then(|(number, _)| number.parse().ok()).map(Position::new);
        let durable = durable.filter(|durable| with_durable(&format!("{head}\n"), *durable) == text);
        Some(Self { opening, durable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_and_outlives_the_next_opening() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Note::read(dir.path()), Note::default(), "nothing is there");
        let lock = Lock::take(dir.path()).unwrap();
        let new = Note::read(dir.path());
        assert!(!new.opening.is_empty() && new.durable.is_none(), "{new:?}");
        lock.note(Position::new(41));
        lock.note(Position::new(42));
        let noted = Note::read(dir.path());
        assert_eq!(noted, Note { opening: new.opening.clone(), durable: Some(Position::new(42)) });

        let refused = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {};", std::process::id())), "{refused}");
        drop(lock);
        let lock = Lock::take(dir.path()).unwrap();
        let next = Note::read(dir.path());
        assert_eq!(next.durable, Some(Position::new(42)), "it was durable, and is");
        assert_ne!(next.opening, new.opening);
        lock.note(Position::new(43));
        assert_eq!(Note::read(dir.path()).durable, Some(Position::new(43)));
    }

    #[test]
    fn what_is_torn_says_nothing() {
        let whole = with_durable("process 1         \nopening a\n", Position::new(7));
        assert_eq!(Note::decode(&whole).and_then(|note| note.durable), Some(Position::new(7)));
        for end in 0..whole.len() {
            let cut = Note::decode(&whole[..end]).unwrap_or_default();
            assert_eq!(cut.durable, None, "cut off at {end}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] ^= 1;
            let flipped = Note::decode(&String::from_utf8(bytes).unwrap()).unwrap_or_default();
            assert_eq!(flipped.durable, None, "a wrong bit at {at}");
        }
        assert_eq!(Note::decode("process 1234\n"), None, "as earlier versions wrote it");
    }
}
