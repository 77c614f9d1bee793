//! The write-ahead log of RocksDB, read by our own code before RocksDB opens it.
//!
//! RocksDB recovers a log whose files are recycled up to the first record that it cannot read, and says nothing about what
//! stands behind it. That is right for the end of the log, where what was not synced may be torn, and wrong for
//! anything before it. What tells the two apart stands in the pages: each says up to where the log was synced when the page was
//! staged. So the whole log is read here, beyond damage too. `docs/adr/0013-wal-recycling.md` has the reasons.

mod batch;
mod manifest;
mod reader;
mod record;
mod tail;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek as _},
    path::Path,
};

use annalist_core::Position;

use self::{
    batch::Batch,
    reader::{Entry, Reader},
};

pub(crate) use manifest::{manifest_stalls, mend_manifest};
pub(crate) use tail::{Tail, Taken};

/// Bytes read from a file at once.
const READ_BYTES: usize = 1024 * 1024;

/// What the files of a log say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Up to here the log was synced, as a page says that can be read.
    pub(crate) synced: Position,
    /// Where the first readable page begins; 0 if there is none.
    pub(crate) first: Position,
    /// Where the last readable page ends.
    pub(crate) last: Position,
    /// The first place where something is missing before something that can be read. The end of the log is no such place:
    /// nothing can be read behind it.
    pub(crate) doubt: Option<Place>,
    /// A file that RocksDB would never come to an end with.
    pub(crate) stalls: Option<Place>,
    /// Files read, and their bytes.
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// The number that the next record must have.
    pub(crate) next_sequence: Option<u64>,
    /// The first file that has bytes, but no record of its own.
    blank: Option<Place>,
}

/// A place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the file, which is its name.
    pub(crate) file: u64,
    /// The byte.
    pub(crate) offset: u64,
}

/// The files of a log, held open: RocksDB removes their names once it has put into tables what it recovered, and what it did not
/// recover can still be read here.
#[derive(Debug)]
pub(crate) struct Files(Vec<(u64, File)>);

impl Files {
    /// Opens all files of the log in a folder. A folder that is not there has none.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let open = |number| Ok((number, File::open(dir.join(file_name(number)))?));
        Ok(Self(log_files(dir)?.into_iter().map(open).collect::<io::Result<_>>()?))
    }

    /// Reads all of them.
    pub(crate) fn scan(&self) -> io::Result<Scan> {
        let mut scan = Scan::default();
        for (number, file) in &self.0 {
            scan.bytes += file.metadata()?.len();
            scan.read(from_the_beginning(file)?, *number)?;
        }
        Ok(scan)
    }

    /// Cuts off what stands behind the last whole record of each file: in a file that is used again, what it had before.
    pub(crate) fn cut_ends(&self, dir: &Path) -> io::Result<()> {
        for (number, file) in &self.0 {
            let (mut reader, mut end) = (Reader::new(from_the_beginning(file)?, *number), 0);
            while let Some(entry) = reader.next()? {
                if entry == Entry::Whole {
                    end = reader.end();
                }
            }
            if end < file.metadata()?.len() {
                let file = File::options().write(true).open(dir.join(file_name(*number)))?;
                file.set_len(end)?;
                file.sync_all()?;
            }
        }
        Ok(())
    }

    /// Shows every batch from the one of this number on. Returns the number behind the last one.
    pub(crate) fn batches_from<E: From<io::Error>>(
        &self,
        sequence: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut next = sequence;
        for (number, file) in &self.0 {
            let mut reader = Reader::new(from_the_beginning(file)?, *number);
            while let Some(entry) = reader.next()? {
                let batch = Batch::decode(reader.record()).filter(|_| entry == Entry::Whole);
                if let Some(batch) = batch.filter(|batch| batch.sequence == next) {
                    each(reader.record())?;
                    next = batch.next_sequence;
                }
            }
        }
        Ok(next)
    }
}

fn file_name(number: u64) -> String {
    format!("{number:06}.log")
}

fn from_the_beginning(mut file: &File) -> io::Result<BufReader<&File>> {
    file.rewind()?;
    Ok(BufReader::with_capacity(READ_BYTES, file))
}

/// The numbers of the log's files, in the order in which they were written.
fn log_files(dir: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|name| name.parse().ok());
        numbers.extend::<Option<u64>>(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Scan {
    /// Reads one file; files come in the order of their numbers.
    fn read(&mut self, file: impl Read, number: u64) -> io::Result<()> {
        self.files += 1;
        let mut reader = Reader::new(file, number);
        let mut gap = None;
        let mut records = 0_u64;
        while let Some(entry) = reader.next()? {
            match entry {
                Entry::Gap(offset) => {
                    gap.get_or_insert(Place { file: number, offset });
                }
                Entry::Whole | Entry::Beginning => {
                    // A sound record that is no batch is as good as none: RocksDB stops there too.
                    let Some(batch) = Batch::decode(reader.record()) else {
                        gap.get_or_insert(Place { file: number, offset: 0 });
                        continue;
                    };
                    let follows = self.next_sequence.is_none_or(|next| next == batch.sequence);
                    let before = gap.clone().or_else(|| self.blank.take());
                    let doubt = before.or_else(|| (!follows).then_some(Place { file: number, offset: 0 }));
                    self.doubt = self.doubt.take().or(doubt);
                    self.note(batch, entry == Entry::Whole);
                    records += u64::from(entry == Entry::Whole);
                }
            }
        }
        if reader.stalls() {
            self.stalls.get_or_insert(Place { file: number, offset: gap.as_ref().map_or(0, |place| place.offset) });
        }
        if records == 0 {
            self.blank = self.blank.take().or(gap);
        }
        Ok(())
    }

    fn note(&mut self, batch: Batch<'_>, whole: bool) {
        for page in batch.pages() {
            self.synced = self.synced.max(page.synced_through);
            if whole {
                self.last = self.last.max(page.last);
                self.first = if self.first == Position::ZERO { page.first } else { self.first.min(page.first) };
            }
        }
        if whole {
            self.next_sequence = Some(batch.next_sequence);
        }
    }
}
