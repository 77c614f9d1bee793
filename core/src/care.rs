//! What those who look after a store are told.

use std::{fmt, path::PathBuf};

use crate::{
    event::Timestamp,
    position::{Cursor, Position},
};

/// How far a long operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in the unit of the operation.
    pub done: u64,
    /// What there is to do.
    pub total: u64,
}

/// Which half of a store is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The log: restore a backup.
    Log,
    /// The index: rebuild it; nothing is lost.
    Index,
}

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub part: Part,
    /// The first position concerned; zero if it is not known.
    pub position: Position,
    /// What is wrong.
    pub detail: String,
}

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Up to where the log was verified before.
    pub after: Position,
    /// Up to where it is verified now: begin here to go on.
    pub through: Position,
    /// Where the log ended when verifying began.
    pub head: Position,
    /// Pages that were read.
    pub pages: u64,
    /// What is wrong, in the order of the log, at most a thousand.
    pub findings: Vec<Finding>,
    /// How many things are wrong, those left out included.
    pub findings_count: u64,
}

impl Verified {
    /// Whether everything that was verified is as it should be.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.findings_count == 0
    }

    /// Whether it came to the head.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.through >= self.head
    }
}

/// What is known of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its number in its folder, from 1.
    pub number: u64,
    /// When it was begun.
    pub time: Timestamp,
    /// Where its log ends. Everything is in it that was acknowledged before it was begun.
    pub head: Cursor,
    /// How many files it consists of.
    pub files: u64,
    /// The bytes of all its files.
    pub bytes: u64,
    /// The bytes that had to be copied for it; what it shares with backups before it is not among them.
    pub added_bytes: u64,
}

/// A file of a backup that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for DamagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.detail)
    }
}
