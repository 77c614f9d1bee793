//! Where the rows of embedded views stand in the key-value store.
//!
//! ```text
//! v name 0 l                       the number of the live instance
//! v name 0 i number                an instance: version of the projection, cursor, commits so far
//! v name 0 k number                why an instance is kept that is not the live one, as JSON
//! v name 0 p number key position   an event that the instance set aside: error, attempts, time
//! v name 0 r number table 0 key    a row of an instance
//! ```
//!
//! Numbers are `u32`, big-endian. All that belongs to a projection stands together; names and tables hold no zero byte.

use annalist_core::{Cursor, Position};
use serde::{Deserialize, Serialize};

use super::super::key::ViewKey;

/// What is noted of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct InstanceRow {
    /// The version of the projection that fills it.
    pub(super) version: u32,
    /// The last event in its rows.
    pub(super) cursor: Cursor,
    /// How many transactions were committed: two notes of one cursor are not alike.
    pub(super) commits: u64,
}

fn key(name: &str, kind: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 8);
    key.push(b'v');
    key.extend_from_slice(name.as_bytes());
    key.push(0);
    key.push(kind);
    key
}

fn numbered(name: &str, kind: u8, number: u32) -> Vec<u8> {
    let mut key = key(name, kind);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn live(name: &str) -> Vec<u8> {
    key(name, b'l')
}

pub(super) fn instances(name: &str) -> Vec<u8> {
    key(name, b'i')
}

pub(super) fn instance(name: &str, number: u32) -> Vec<u8> {
    numbered(name, b'i', number)
}

pub(super) fn all_kept(name: &str) -> Vec<u8> {
    key(name, b'k')
}

pub(super) fn kept(name: &str, number: u32) -> Vec<u8> {
    numbered(name, b'k', number)
}

/// The number in the key of an instance, or of why it is kept.
pub(super) fn instance_number(key: &[u8]) -> Option<u32> {
    key.last_chunk().copied().map(u32::from_be_bytes)
}

/// What the keys of all rows of an instance begin with.
pub(super) fn rows(name: &str, number: u32) -> Vec<u8> {
    numbered(name, b'r', number)
}

/// What the keys of all parked events of an instance begin with.
pub(super) fn all_parked(name: &str, number: u32) -> Vec<u8> {
    numbered(name, b'p', number)
}

/// Where a parked event is noted.
pub(super) fn parked(name: &str, number: u32, key: &str, position: Position) -> Vec<u8> {
    let mut bytes = all_parked(name, number);
    (key.to_owned(), position).encode(&mut bytes);
    bytes
}

/// Key and position of a parked event, from where it is noted.
pub(super) fn parked_event(name: &str, key: &[u8]) -> Option<(String, Position)> {
    let mut rest = key.get(all_parked(name, 0).len()..)?;
    ViewKey::decode(&mut rest)
}
