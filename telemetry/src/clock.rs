//! The time of day: read here alone.

use std::time::{SystemTime, UNIX_EPOCH};

use annalist_core::Timestamp;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is where telemetry reads its clock")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
