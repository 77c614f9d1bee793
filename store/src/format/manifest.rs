//! The file `BACKUP`: what a backup holds. Text, so that a person can read it; written last, so that a backup is whole if it has one.

use std::{
    fmt::Write as _,
    path::{Component, Path},
};

use annalist_core::{Position, Timestamp};

use super::store_file::{StoreFile, check_format, field, number, seal, unseal};

/// The name of the file.
pub(crate) const MANIFEST_FILE: &str = "BACKUP";

/// The format that this version writes. Older ones are read, newer ones refused.
const FORMAT_VERSION: u32 = 1;

/// The contents of `BACKUP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// From 1, in the order in which backups were made.
    pub(crate) number: u64,
    /// When it was begun.
    pub(crate) time: Timestamp,
    /// The store that it is of.
    pub(crate) identity: StoreFile,
    /// The last position in it.
    pub(crate) position: Position,
    /// The checksum of the page that ends there.
    pub(crate) checksum: u32,
    /// What had to be copied for it.
    pub(crate) added_bytes: u64,
    pub(crate) files: Vec<BackedUpFile>,
}

/// A file of the log in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackedUpFile {
    /// What it is called in the log.
    pub(crate) name: String,
    /// Where it is in the folder of the backups.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) crc32: u32,
    /// When the file that it is a copy of was written, in nanoseconds since 1970: with the rest, what tells the same file again
    /// without reading it.
    pub(crate) modified_nanos: u128,
}

impl Manifest {
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("annalist backup\nformat {FORMAT_VERSION}\n");
        let (number, time, position) = (self.number, self.time.as_micros(), self.position);
        let _ = writeln!(text, "number {number}\ntime {time}");
        self.identity.describe(&mut text);
        let _ = writeln!(text, "position {position}\nchecksum {:08x}\nadded {}", self.checksum, self.added_bytes);
        for BackedUpFile { name, path, bytes, crc32, modified_nanos } in &self.files {
            let _ = writeln!(text, "file {crc32:08x} {bytes} {modified_nanos} {name} {path}");
        }
        seal(text)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, String> {
        let body = unseal(text, MANIFEST_FILE)?;
        check_format(body, MANIFEST_FILE, FORMAT_VERSION)?;
        let files = body.lines().filter_map(|line| line.strip_prefix("file ")).map(BackedUpFile::decode);
        let files = files.collect::<Option<Vec<_>>>();
        let checksum = u32::from_str_radix(field(body, MANIFEST_FILE, "checksum")?, 16);
        Ok(Self {
            number: number(body, MANIFEST_FILE, "number")?,
            time: Timestamp::from_micros(number(body, MANIFEST_FILE, "time")?),
            identity: StoreFile::read(body, MANIFEST_FILE)?,
            position: Position::new(number(body, MANIFEST_FILE, "position")?),
            checksum: checksum.map_err(|_| format!("the checksum in {MANIFEST_FILE} is not a number"))?,
            added_bytes: number(body, MANIFEST_FILE, "added")?,
            files: files.ok_or_else(|| format!("a line `file` in {MANIFEST_FILE} cannot be read"))?,
        })
    }

    /// What all of its files hold.
    pub(crate) fn byte_count(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl BackedUpFile {
    fn decode(line: &str) -> Option<Self> {
        let mut parts = line.splitn(5, ' ');
        let crc32 = u32::from_str_radix(parts.next()?, 16).ok()?;
        let (bytes, modified_nanos) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (name, path) = (parts.next()?, parts.next()?);
        let is_inside = |path: &str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let fits = is_inside(name) && Path::new(name).components().count() == 1 && is_inside(path) && !path.is_empty();
        fits.then(|| Self { name: name.to_owned(), path: path.to_owned(), bytes, crc32, modified_nanos })
    }
}
