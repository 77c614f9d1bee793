//! The rows of a view as readers see them.

use std::{fmt, ops::Range};

use annalist_core::{Direction, StoreError};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    super::{
        key::ViewKey,
        key_value::{Rows, VisitRow, behind_prefix},
        table::{RowError, Table},
    },
    scan::{Scan, sealed::Source},
};

/// One consistent state of a view: several reads of it belong together.
pub struct View<'a> {
    rows: &'a dyn Rows,
    instance: Vec<u8>,
}

impl<'a> View<'a> {
    pub(super) fn new(rows: &'a dyn Rows, instance: Vec<u8>) -> Self {
        Self { rows, instance }
    }

    /// The row under a key.
    ///
    /// # Errors
    /// [`RowError`] when it cannot be read.
    pub fn get<K: ViewKey, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, RowError> {
        self.get_at(table, &table.row_key(&self.instance, key))
    }

    /// The row under a key that is encoded already.
    pub(in crate::projection) fn get_encoded<K: ViewKey, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        key: &[u8],
    ) -> Result<Option<V>, RowError> {
        let mut row_key = table.prefix(&self.instance);
        row_key.extend_from_slice(key);
        self.get_at(table, &row_key)
    }

    fn get_at<K: ViewKey, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        row_key: &[u8],
    ) -> Result<Option<V>, RowError> {
        self.rows.get(row_key)?.map(|bytes| table.decode_value(&bytes)).transpose()
    }

    /// Several rows in the order of their keys.
    pub fn scan<K: ViewKey, V>(&self, table: &Table<K, V>) -> Scan<&Self, K, V> {
        Scan::new(self, *table)
    }
}

impl View<'_> {
    /// Visits all rows of the instance; keys begin with the table's name.
    pub(in crate::projection) fn visit_all(&self, visit: &mut VisitRow<'_>) -> Result<(), StoreError> {
        let end = behind_prefix(&self.instance).unwrap_or_default();
        let skipped = self.instance.len();
        self.rows.scan(&self.instance..&end, Direction::Forward, &mut |key, value| {
            visit(key.get(skipped..).unwrap_or_default(), value)
        })
    }
}

impl Source for &View<'_> {
    fn instance(&self) -> &[u8] {
        &self.instance
    }

    fn visit(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), RowError> {
        Ok(self.rows.scan(range, direction, visit)?)
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("instance", &self.instance).finish_non_exhaustive()
    }
}
