//! Where the rows of embedded views stand in the key-value store.
//!
//! ```text
//! v name 0 l                       the number of the live instance
//! v name 0 i number                an instance: version of the projection, cursor
//! v name 0 r number table 0 key    a row of an instance
//! ```
//!
//! Numbers are `u32`, big-endian. All that belongs to a projection stands together; names and tables hold no zero byte.

use annalist_core::Cursor;
use serde::{Deserialize, Serialize};

/// What is noted of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct InstanceRow {
    /// The version of the projection that fills it.
    pub(super) version: u32,
    /// The last event in its rows.
    pub(super) cursor: Cursor,
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

/// The number in the key of an instance.
pub(super) fn instance_number(key: &[u8]) -> Option<u32> {
    key.last_chunk().copied().map(u32::from_be_bytes)
}

/// What the keys of all rows of an instance begin with.
pub(super) fn rows(name: &str, number: u32) -> Vec<u8> {
    numbered(name, b'r', number)
}
