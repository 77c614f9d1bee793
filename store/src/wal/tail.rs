//! The write-ahead log of a store that another process writes: its pages, group by group, as they come.
//!
//! Everything here is read while it is written. A record counts when it is whole, by its checksum and by the number of its file, so
//! half of one and what a file that is used again held before are waited for, or passed over when the file is gone. Which
//! of what was read is the log is for the pages to say: each names the one before it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    batch::Batch,
    log_files,
    record::{BLOCK_BYTES, Fragment, Part, fragment},
};
use crate::format::Page;

/// What became of a group that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is dealt with: what comes behind it is next.
    Yes,
    /// Not yet: it is shown again next time. Nothing behind it in the same file is shown before.
    NotYet,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tail {
    dir: PathBuf,
    files: Vec<TailFile>,
}

/// A file, and the byte at which the first record begins that was not taken. It is found under its name no more once it is used again
/// or removed; what it held is in the tables then.
#[derive(Debug)]
struct TailFile {
    number: u64,
    file: File,
    at: u64,
}

impl Tail {
    /// The log in this folder, from its beginning.
    pub(crate) const fn of(dir: PathBuf) -> Self {
        Self { dir, files: Vec::new() }
    }

    /// Shows the pages of each group that was not taken, in the order in which they were written.
    pub(crate) fn read(&mut self, mut take: impl FnMut(Vec<Page>) -> Taken) -> io::Result<()> {
        self.find_files()?;
        for file in &mut self.files {
            file.read(&mut take)?;
        }
        Ok(())
    }

    fn find_files(&mut self) -> io::Result<()> {
        let numbers = log_files(&self.dir)?;
        self.files.retain(|file| numbers.contains(&file.number));
        for number in numbers {
            if self.files.iter().any(|file| file.number == number) {
                continue;
            }
            match open(&self.dir, number) {
                Ok(file) => self.files.push(TailFile { number, file, at: 0 }),
                // Used again or removed since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.files.sort_unstable_by_key(|file| file.number);
        Ok(())
    }
}

fn open(dir: &Path, number: u64) -> io::Result<File> {
    File::open(dir.join(format!("{number:06}.log")))
}

impl TailFile {
    fn read(&mut self, take: &mut impl FnMut(Vec<Page>) -> Taken) -> io::Result<()> {
        let mut block = Block::default();
        let mut record = Vec::new();
        while let Some(end) = self.record(&mut block, &mut record)? {
            // A batch that cannot be read is none that the store wrote; if it is in the tables all the same, they say what is wrong.
            let Some(Ok(pages)) = Batch::decode(&record).map(Batch::whole_pages) else { break };
            if !pages.is_empty() && take(pages) == Taken::NotYet {
                break;
            }
            self.at = end;
        }
        Ok(())
    }

    /// Reads the record that begins at or behind `self.at`, and says where it ends; `None` if it is not whole.
    fn record(&self, block: &mut Block, record: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let [n0, n1, n2, n3, ..] = self.number.to_le_bytes();
        let number = u32::from_le_bytes([n0, n1, n2, n3]);
        let (mut at, mut open) = (self.at, false);
        record.clear();
        loop {
            let begin = at - at % BLOCK_BYTES as u64;
            block.load(&self.file, begin)?;
            let within = usize::try_from(at - begin).unwrap_or_default();
            match fragment(&block.bytes, within, number) {
                Fragment::Sound { part, payload, end, .. } => {
                    at = begin + end as u64;
                    let fits = match part {
                        Part::Note => continue,
                        Part::Full | Part::First => !open,
                        Part::Middle | Part::Last => open,
                    };
                    if !fits {
                        return Ok(None);
                    }
                    record.extend_from_slice(payload);
                    open = matches!(part, Part::First | Part::Middle);
                    if !open {
                        return Ok(Some(at));
                    }
                }
                // Nothing more fits this block.
                Fragment::End if block.bytes.len() == BLOCK_BYTES => at = begin + BLOCK_BYTES as u64,
                Fragment::End | Fragment::Former { .. } | Fragment::Bad { .. } => return Ok(None),
            }
        }
    }
}

/// A block of a file as it was when it was read first.
#[derive(Default)]
struct Block {
    /// Where it begins.
    at: Option<u64>,
    bytes: Vec<u8>,
}

impl Block {
    fn load(&mut self, file: &File, at: u64) -> io::Result<()> {
        if self.at == Some(at) {
            return Ok(());
        }
        self.at = None;
        self.bytes.resize(BLOCK_BYTES, 0);
        let mut filled = 0;
        while let Some(rest) = self.bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(filled);
        self.at = Some(at);
        Ok(())
    }
}
