//! What is noted, as JSON, of instances beside the live one.

use annalist::projection::{Kept, Parked};
use annalist_core::{Position, Timestamp};

use crate::error::SqlError;

pub(crate) fn to_text(why: &Kept) -> Result<String, SqlError> {
    serde_json::to_string(why).map_err(|error| SqlError::Refused(sqlx::Error::Encode(error.into())))
}

pub(crate) fn from_text(text: &str) -> Result<Kept, SqlError> {
    serde_json::from_str(text).map_err(|error| SqlError::Refused(sqlx::Error::Decode(error.into())))
}

/// A parked event as the columns `key`, `position`, `error`, `attempts` and `time` (microseconds since 1970).
pub(crate) type ParkedColumns = (String, i64, Option<String>, i64, i64);

pub(crate) fn parked_columns(parked: &Parked) -> ParkedColumns {
    let Parked { key, position, error, attempts, time } = parked;
    (key.clone(), number(*position), error.clone(), i64::from(*attempts), time.as_micros())
}

pub(crate) fn parked((key, position, error, attempts, time): ParkedColumns) -> Parked {
    Parked {
        key,
        position: Position::new(u64::try_from(position).unwrap_or_default()),
        error,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        time: Timestamp::from_micros(time),
    }
}

/// A position as databases hold it. There are no larger ones.
pub(crate) fn number(position: Position) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}

/// How many rows are asked for.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
