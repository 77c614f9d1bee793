//! The file `STORE`: which store this is, in which format, in which epoch. Text, so that a person can read it.

use std::{fmt::Write as _, str::FromStr};

use annalist_core::{Cursor, Epoch, Position, StoreId};
use uuid::Uuid;

/// The format that this version writes. Older ones are opened, newer ones refused.
const FORMAT_VERSION: u32 = 1;

/// The contents of `STORE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreFile {
    pub(crate) id: StoreId,
    pub(crate) epoch: Epoch,
    /// The epochs before, oldest first, and up to where each of them is part of this log: what was recorded in it behind that
    /// was lost by the restore that ended it.
    pub(crate) left: Vec<(Epoch, Position)>,
}

impl StoreFile {
    /// The store that a restore makes of this one: in a new epoch, with what was recorded up to `at`.
    pub(crate) fn restored(&self, epoch: Epoch, at: Position) -> Self {
        let mut left = self.left.clone();
        left.push((self.epoch, at));
        Self { id: self.id, epoch, left }
    }

    /// How far a cursor of this log has come, of an earlier epoch too if nothing that it has seen was lost since.
    pub(crate) fn locate(&self, cursor: &Cursor, head: &Cursor) -> Option<Position> {
        if cursor.fits(head) {
            return Some(cursor.position);
        }
        let since = self.left.iter().position(|(epoch, _)| *epoch == cursor.epoch)?;
        // A later restore may have gone back further.
        let kept = self.left.get(since..)?.iter().map(|(_, position)| *position).min()?;
        (cursor.store == self.id && cursor.position <= kept).then_some(cursor.position)
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = format!("annalist store\nformat {FORMAT_VERSION}\n");
        self.describe(&mut text);
        seal(text)
    }

    pub(crate) fn decode(text: &str) -> Result<Self, String> {
        let body = unseal(text, "STORE")?;
        check_format(body, "STORE", FORMAT_VERSION)?;
        Self::read(body, "STORE")
    }

    /// Adds the lines that say which store it is.
    pub(super) fn describe(&self, text: &mut String) {
        let _ = writeln!(text, "id {}\nepoch {}", self.id, self.epoch);
        for (epoch, position) in &self.left {
            let _ = writeln!(text, "left {epoch} {position}");
        }
    }

    /// Reads those lines among others.
    pub(super) fn read(body: &str, file: &str) -> Result<Self, String> {
        let id = Uuid::parse_str(field(body, file, "id")?).map_err(|_| format!("the id in {file} is not a UUID"))?;
        let epoch = number(body, file, "epoch")?;
        let left = body.lines().filter_map(|line| line.strip_prefix("left ")).map(|line| {
            let (epoch, position) = line.split_once(' ')?;
            Some((Epoch::new(epoch.parse().ok()?), Position::new(position.parse().ok()?)))
        });
        let left = left.collect::<Option<Vec<_>>>();
        let left = left.ok_or_else(|| format!("a line `left` in {file} is not an epoch and a position"))?;
        Ok(Self { id: StoreId::new(id), epoch: Epoch::new(epoch), left })
    }
}

/// The text with its checksum as the last line.
pub(super) fn seal(mut text: String) -> String {
    let checksum = crc32fast::hash(text.as_bytes());
    let _ = writeln!(text, "crc32 {checksum:08x}");
    text
}

/// What stands before the checksum, if that holds.
pub(super) fn unseal<'a>(text: &'a str, file: &str) -> Result<&'a str, String> {
    let (body, checksum) = text.rsplit_once("crc32 ").ok_or_else(|| format!("{file} has no checksum line"))?;
    if u32::from_str_radix(checksum.trim(), 16).ok() != Some(crc32fast::hash(body.as_bytes())) {
        return Err(format!("the checksum of {file} does not hold"));
    }
    Ok(body)
}

/// Refuses what a later version wrote.
pub(super) fn check_format(body: &str, file: &str, known: u32) -> Result<(), String> {
    match number::<u32>(body, file, "format")? {
        format if format > known => {
            Err(format!("it is in format {format}, this program knows up to {known}; upgrade the program"))
        }
        _ => Ok(()),
    }
}

/// What stands behind a name.
pub(super) fn field<'a>(body: &'a str, file: &str, name: &str) -> Result<&'a str, String> {
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.ok_or_else(|| format!("{file} has no line `{name}`"))
}

/// The number that stands behind a name.
pub(super) fn number<T: FromStr>(body: &str, file: &str, name: &str) -> Result<T, String> {
    field(body, file, name)?.parse().map_err(|_| format!("the {name} in {file} is not a number"))
}
