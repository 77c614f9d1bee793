//! Writes wait outside RocksDB.

use std::{thread, time::Duration};

use rocksdb::{DB, Error, ErrorKind, properties};

use crate::limits;

/// What RocksDB says to a write that would have to wait; if it says something else, waiting would be in vain.
const STALLED: &str = "Write stall";

/// A write that waits until there is room in memory for it. A write that waits inside RocksDB (11.8) keeps it from ever recovering
/// from a full disk (ADR 50): so writes are made with `no_slowdown`, are refused where they would be held up, and wait here.
#[derive(Default)]
pub(crate) struct Stall {
    /// What had failed in the background when the waiting began.
    failures: Option<u64>,
    waited: Duration,
}

impl Stall {
    /// Whether a write that was answered with this error may pass a little later. Not if something else has failed in the background
    /// since it waits, which says that what it waits for did not succeed, nor after a minute.
    pub(crate) fn may_pass(&mut self, db: &DB, error: &Error) -> bool {
        if error.kind() != ErrorKind::Incomplete || !error.as_ref().contains(STALLED) {
            return false;
        }
        let now = db.property_int_value(properties::BACKGROUND_ERRORS).ok().flatten().unwrap_or_default();
        now <= *self.failures.get_or_insert(now) && self.waited < limits::WRITE_STALL_MAX
    }

    /// Waits that little. Locks that others need are let go before.
    pub(crate) fn wait(&mut self) {
        thread::sleep(limits::WRITE_STALL_POLL);
        self.waited += limits::WRITE_STALL_POLL;
    }
}
