//! The rows of the file: one line, one order. A line that is none is reported and the rest goes on.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::domain::{Cents, Customer, Date, NotA, OrderId, parse_date};

/// The file that comes with the program.
const BUNDLED: &[u8] = include_bytes!("../data/orders.csv.gz");
const HEADING: &str = "customer,date,cds,dollars";
/// Longest line, in bytes: hundred times an honest one, and no more memory than that for another kind of file.
const LINE_BYTES_MAX: usize = 4096;

/// One order as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The row's number, which is the order's number: its line without the heading. Bad rows are counted too, so that a
    /// row keeps its number when it or another one is corrected.
    pub order: OrderId,
    /// Who ordered.
    pub customer: Customer,
    /// When.
    pub date: Date,
    /// How many CDs.
    pub cds: u32,
    /// What they cost together.
    pub dollars: Cents,
}

impl Row {
    /// The number of its line in the file, from 1; the first line is the heading.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.order.0 + 1
    }
}

/// A row that is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The number of its line.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Why the file as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot read {file}")]
    Io {
        /// Which file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// It begins with another line than the heading.
    #[error("{file} begins with `{found}`; the heading `{HEADING}` is needed")]
    Heading {
        /// Which file.
        file: String,
        /// Its first line, or the beginning of it.
        found: String,
    },
    /// A line without an end.
    #[error("{file} has more than {LINE_BYTES_MAX} bytes in line {line}; is it a CSV file?")]
    EndlessLine {
        /// Which file.
        file: String,
        /// The line.
        line: u64,
    },
}

/// The rows of a file, in order; bad ones among them.
pub struct Rows {
    file: String,
    input: Box<dyn BufRead + Send>,
    bytes: Vec<u8>,
    line: u64,
}

impl Rows {
    /// Opens a CSV file, gzipped or not, or the one that comes with the program. Reading blocks.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read or is another kind of file.
    pub fn open(path: Option<&Path>) -> Result<Self, FileError> {
        let file = path.map_or_else(|| "the bundled file".to_owned(), |path| path.display().to_string());
        let opened = match path {
            None => unpacked(Cursor::new(BUNDLED)),
            Some(path) => File::open(path).and_then(|file| unpacked(BufReader::new(file))),
        };
        let input = opened.map_err(|source| FileError::Io { file: file.clone(), source })?;
        let mut rows = Self { file, input, bytes: Vec::new(), line: 0 };
        let heading = rows.next_line()?.unwrap_or_default();
        let heading = heading.strip_prefix('\u{feff}').unwrap_or(&heading);
        if heading.split(',').map(str::trim).ne(HEADING.split(',')) {
            let found = heading.chars().take(80).collect();
            return Err(FileError::Heading { file: rows.file, found });
        }
        Ok(rows)
    }

    /// How many rows are left, found by reading them all.
    ///
    /// # Errors
    /// As for reading them.
    pub fn left(mut self) -> Result<u64, FileError> {
        let mut rows = 0;
        while let Some(line) = self.next_line()? {
            rows += u64::from(!line.is_empty());
        }
        Ok(rows)
    }

    fn next_line(&mut self) -> Result<Option<String>, FileError> {
        self.bytes.clear();
        self.line += 1;
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.bytes);
        let bytes = read.map_err(|source| FileError::Io { file: self.file.clone(), source })?;
        if bytes > LINE_BYTES_MAX {
            return Err(FileError::EndlessLine { file: self.file.clone(), line: self.line });
        }
        Ok((bytes > 0).then(|| String::from_utf8_lossy(self.bytes.trim_ascii()).into_owned()))
    }
}

impl Iterator for Rows {
    type Item = Result<Result<Row, BadRow>, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line() {
                Ok(None) => return None,
                Ok(Some(line)) if line.is_empty() => {}
                Ok(Some(line)) => {
                    let row = parse(OrderId(self.line - 1), &line);
                    return Some(Ok(row.map_err(|reason| BadRow { line: self.line, reason })));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("file", &self.file).field("line", &self.line).finish_non_exhaustive()
    }
}

fn unpacked(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let gzipped = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzipped { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) })
}

fn parse(order: OrderId, line: &str) -> Result<Row, String> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let &[customer, date, cds, dollars] = fields.as_slice() else {
        return Err(format!("it has {} fields; 4 are needed: {HEADING}", fields.len()));
    };
    let row = || {
        let cds = cds.parse().map_err(|_| NotA::new("a number of CDs", cds))?;
        Ok(Row { order, customer: customer.parse()?, date: parse_date(date)?, cds, dollars: dollars.parse()? })
    };
    row().map_err(|not: NotA| not.to_string())
}

#[cfg(test)]
mod tests;
