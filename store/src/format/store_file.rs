//! The file `STORE`: which store this is, in which format, in which epoch. Text, so that a person can read it.

use std::fmt::Write as _;

use annalist_core::{Epoch, StoreId};
use uuid::Uuid;

/// The format that this version writes. Older ones are opened, newer ones refused.
const FORMAT_VERSION: u32 = 1;

/// The contents of `STORE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreFile {
    pub(crate) id: StoreId,
    pub(crate) epoch: Epoch,
}

impl StoreFile {
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("annalist store\nformat {FORMAT_VERSION}\nid {}\nepoch {}\n", self.id, self.epoch);
        let checksum = crc32fast::hash(text.as_bytes());
        let _ = writeln!(text, "crc32 {checksum:08x}");
        text
    }

    pub(crate) fn decode(text: &str) -> Result<Self, String> {
        let (body, checksum) = text.rsplit_once("crc32 ").ok_or("STORE has no checksum line")?;
        if u32::from_str_radix(checksum.trim(), 16).ok() != Some(crc32fast::hash(body.as_bytes())) {
            return Err("the checksum of STORE does not hold".to_owned());
        }
        let field = |name: &str| {
            let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or_else(|| format!("STORE has no line `{name}`"))
        };
        let format: u32 = field("format")?.parse().map_err(|_| "the format in STORE is not a number")?;
        if format > FORMAT_VERSION {
            return Err(format!(
                "it is in format {format}, this program knows up to {FORMAT_VERSION}; upgrade the program"
            ));
        }
        let id = Uuid::parse_str(field("id")?).map_err(|_| "the id in STORE is not a UUID")?;
        let epoch = field("epoch")?.parse().map_err(|_| "the epoch in STORE is not a number")?;
        Ok(Self { id: StoreId::new(id), epoch: Epoch::new(epoch) })
    }
}
