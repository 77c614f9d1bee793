//! Typed tables: what turns keys and values into rows.

use std::{fmt, marker::PhantomData};

use annalist_core::StoreError;
use serde::{Serialize, de::DeserializeOwned};

use super::key::ViewKey;

/// Longest name of a table or projection, in bytes: it stands in the key of every row.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// A table of a view: rows of type `V` under keys of type `K`, in the order of the keys.
///
/// A table is only a name and two types; it exists as soon as a projection puts a row. Keys are [`ViewKey`]s; values are
/// anything serde can write, stored with bincode. (Avoid serde's `skip_serializing_if`, `flatten` and `untagged` in
/// values: bincode does not describe itself.) Names are unique within a projection; whoever changes the type of a table
/// increments the projection's `VERSION`.
///
/// ```
/// # use annalist::projection::Table;
/// const CENTS_PER_MONTH: Table<(u16, u8), u64> = Table::new("cents-per-month");
/// ```
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Table<K, V> {
    /// A table called `name`: 1 to 64 bytes, none of them zero.
    ///
    /// # Panics
    /// When the name breaks that rule; for a `const` table that is an error at compile time.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(is_name(name), "a table's name has 1 to 64 bytes, none of them zero");
        Self { name, types: PhantomData }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// Whether something may be the name of a table or projection.
pub(crate) const fn is_name(name: &str) -> bool {
    let mut bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > NAME_BYTES_MAX {
        return false;
    }
    while let [byte, rest @ ..] = bytes {
        if *byte == 0 {
            return false;
        }
        bytes = rest;
    }
    true
}

impl<K: ViewKey, V: Serialize + DeserializeOwned> Table<K, V> {
    /// Where the rows of this table begin: the instance's prefix, the name, a zero byte.
    pub(crate) fn prefix(&self, instance: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(instance.len() + self.name.len() + 1 + KEY_BYTES_TYPICAL);
        bytes.extend_from_slice(instance);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.push(0);
        bytes
    }

    /// Where a row stands, in the place of whatever `bytes` held.
    pub(crate) fn write_row_key(&self, bytes: &mut Vec<u8>, instance: &[u8], key: &K) {
        bytes.clear();
        bytes.extend_from_slice(instance);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.push(0);
        key.encode(bytes);
    }

    /// Where a row stands.
    pub(crate) fn row_key(&self, instance: &[u8], key: &K) -> Vec<u8> {
        let mut bytes = self.prefix(instance);
        key.encode(&mut bytes);
        bytes
    }

    /// Reads a key back from where its row stands.
    pub(crate) fn decode_key(&self, row_key: &[u8], prefix_bytes: usize) -> Result<K, RowError> {
        let mut rest = row_key.get(prefix_bytes..).unwrap_or_default();
        match K::decode(&mut rest) {
            Some(key) if rest.is_empty() => Ok(key),
            _ => Err(self.malformed("key", "the bytes are not a key of the table's type")),
        }
    }

    pub(crate) fn encode_value(&self, value: &V) -> Result<Vec<u8>, RowError> {
        bincode::serde::encode_to_vec(value, bincode::config::standard())
            .map_err(|error| RowError::Encode { table: self.name, detail: error.to_string() })
    }

    /// Writes a value in the place of whatever `bytes` held.
    pub(crate) fn encode_value_into(&self, value: &V, bytes: &mut Vec<u8>) -> Result<(), RowError> {
        bytes.clear();
        match bincode::serde::encode_into_std_write(value, bytes, bincode::config::standard()) {
            Ok(_) => Ok(()),
            Err(error) => Err(RowError::Encode { table: self.name, detail: error.to_string() }),
        }
    }

    pub(crate) fn decode_value(&self, bytes: &[u8]) -> Result<V, RowError> {
        match bincode::serde::decode_from_slice(bytes, bincode::config::standard()) {
            Ok((value, read)) if read == bytes.len() => Ok(value),
            Ok(_) => Err(self.malformed("value", "there are more bytes than the value needs")),
            Err(error) => Err(self.malformed("value", &error.to_string())),
        }
    }

    fn malformed(&self, part: &'static str, detail: &str) -> RowError {
        RowError::Malformed { table: self.name, part, detail: detail.to_owned() }
    }
}

const KEY_BYTES_TYPICAL: usize = 16;

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({:?})", self.name)
    }
}

/// Why a row could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The store of the views failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The row was written with other types than the table has now.
    #[error(
        "a {part} in table `{table}` does not fit the table's type ({detail}); if the type was changed, increment the \
         projection's VERSION: the view is then replayed"
    )]
    Malformed {
        /// The table.
        table: &'static str,
        /// `key` or `value`.
        part: &'static str,
        /// What does not fit.
        detail: String,
    },
    /// A value cannot be written by bincode.
    #[error("a value of table `{table}` cannot be written: {detail}")]
    Encode {
        /// The table.
        table: &'static str,
        /// What bincode said.
        detail: String,
    },
}
