//! The time of day: read here alone.

use std::time::SystemTime;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is where a server reads its clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
