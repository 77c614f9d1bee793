//! Several rows of a table: which, in which order, how many.

use std::{
    fmt,
    ops::{Bound, ControlFlow, Range, RangeBounds},
};

use annalist_core::Direction;
use serde::{Serialize, de::DeserializeOwned};

use super::super::{
    key::{KeyPrefix, ViewKey},
    key_value::{VisitRow, behind_prefix},
    table::{RowError, Table},
};

/// A scan of a table in the making: all rows in the order of their keys, unless it is told otherwise.
///
/// In a projection and inside [`ViewHandle::read`](crate::projection::ViewHandle::read) it ends with [`Scan::rows`],
/// [`Scan::first`] or [`Scan::for_each`]; on a [`ViewHandle`](crate::projection::ViewHandle) with `.await`.
#[must_use = "a scan reads nothing until it is finished"]
pub struct Scan<S, K, V> {
    pub(in crate::projection) source: S,
    pub(in crate::projection) selection: Selection<K, V>,
}

/// Which rows of a table.
pub(in crate::projection) struct Selection<K, V> {
    table: Table<K, V>,
    /// Bounds in bytes behind the table's prefix; no end is the end of the table.
    start: Vec<u8>,
    end: Option<Vec<u8>>,
    direction: Direction,
    limit: usize,
}

/// Where a finished scan reads: rows of one instance, by whole keys.
pub trait ScanSource: sealed::Source {}
impl<S: sealed::Source> ScanSource for S {}

pub(in crate::projection) mod sealed {
    use super::{Direction, Range, RowError, VisitRow};

    pub trait Source {
        /// What the keys of the instance's rows begin with.
        fn instance(&self) -> &[u8];
        fn visit(&self, range: Range<&[u8]>, direction: Direction, visit: &mut VisitRow<'_>) -> Result<(), RowError>;
    }
}

impl<S, K: ViewKey, V> Scan<S, K, V> {
    pub(in crate::projection) fn new(source: S, table: Table<K, V>) -> Self {
        let all = Selection { table, start: Vec::new(), end: None, direction: Direction::Forward, limit: usize::MAX };
        Self { source, selection: all }
    }

    /// Only rows with a key in this range: `a..b`, `a..=b`, `a..` and so on. Replaces an earlier range or prefix.
    pub fn range(mut self, range: impl RangeBounds<K>) -> Self {
        let encode = |key: &K| {
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            bytes
        };
        // No key begins with another key's bytes, so a zero byte more is behind this key and before the next.
        let behind = |key: &K| {
            let mut bytes = encode(key);
            bytes.push(0);
            bytes
        };
        self.selection.start = match range.start_bound() {
            Bound::Included(key) => encode(key),
            Bound::Excluded(key) => behind(key),
            Bound::Unbounded => Vec::new(),
        };
        self.selection.end = match range.end_bound() {
            Bound::Included(key) => Some(behind(key)),
            Bound::Excluded(key) => Some(encode(key)),
            Bound::Unbounded => None,
        };
        self
    }

    /// Only rows whose key begins so: `.prefix(&customer)` for keys `(Customer, OrderId)`, `.prefix("Mc")` for strings.
    /// Replaces an earlier range or prefix.
    pub fn prefix(mut self, prefix: impl KeyPrefix<K>) -> Self {
        self.selection.start.clear();
        prefix.encode_prefix(&mut self.selection.start);
        self.selection.end = behind_prefix(&self.selection.start);
        self
    }

    /// Against the order of the keys: the greatest first.
    pub fn rev(mut self) -> Self {
        self.selection.direction = match self.selection.direction {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        };
        self
    }

    /// At most this many rows.
    pub fn limit(mut self, rows: usize) -> Self {
        self.selection.limit = rows;
        self
    }
}

impl<S: ScanSource, K: ViewKey, V: Serialize + DeserializeOwned> Scan<S, K, V> {
    /// The rows.
    ///
    /// # Errors
    /// [`RowError`] when a row cannot be read.
    pub fn rows(self) -> Result<Vec<(K, V)>, RowError> {
        let mut rows = Vec::new();
        self.for_each(|key, value| rows.push((key, value)))?;
        Ok(rows)
    }

    /// The first of the rows.
    ///
    /// # Errors
    /// [`RowError`] when it cannot be read.
    pub fn first(self) -> Result<Option<(K, V)>, RowError> {
        let mut rows = self.limit(1).rows()?;
        Ok(rows.pop())
    }

    /// Calls `each` for every row, without holding them all.
    ///
    /// # Errors
    /// [`RowError`] when a row cannot be read.
    pub fn for_each(self, each: impl FnMut(K, V)) -> Result<(), RowError> {
        self.selection.visit(&self.source, each)
    }
}

impl<K: ViewKey, V: Serialize + DeserializeOwned> Selection<K, V> {
    pub(in crate::projection) fn visit(
        &self,
        source: &impl ScanSource,
        mut each: impl FnMut(K, V),
    ) -> Result<(), RowError> {
        let prefix = self.table.prefix(source.instance());
        let start = [&prefix, self.start.as_slice()].concat();
        let end = match &self.end {
            Some(end) => [&prefix, end.as_slice()].concat(),
            None => behind_prefix(&prefix).unwrap_or_default(),
        };
        let (mut left, mut result) = (self.limit, Ok(()));
        if left == 0 {
            return result;
        }
        source.visit(&start..&end, self.direction, &mut |key, value| {
            let row = self.table.decode_key(key, prefix.len());
            match row.and_then(|key| Ok((key, self.table.decode_value(value)?))) {
                Ok((key, value)) => each(key, value),
                Err(error) => {
                    result = Err(error);
                    return ControlFlow::Break(());
                }
            }
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        result
    }
}

impl<S, K, V> fmt::Debug for Scan<S, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selection = &self.selection;
        f.debug_struct("Scan")
            .field("table", &selection.table)
            .field("start", &selection.start)
            .field("end", &selection.end)
            .field("direction", &selection.direction)
            .field("limit", &selection.limit)
            .finish_non_exhaustive()
    }
}
