//! Events as they are read from the log.

use annalist_core::{Cursor, RecordedEvent};

use super::{DecodeError, Events};

/// A recorded event with its payload decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<E> {
    /// The decoded event.
    pub event: E,
    /// The event as the log holds it: position, version, time, id, stream, metadata.
    pub record: RecordedEvent,
    /// Where it stands, as a cursor of its log.
    pub cursor: Cursor,
}

impl<E: Events> Recorded<E> {
    /// Decodes a recorded event; `None` if it is not one of these.
    ///
    /// # Errors
    /// [`DecodeError`] when it is one of these but cannot be read.
    pub fn decode(record: RecordedEvent, cursor: Cursor) -> Result<Option<Self>, DecodeError> {
        Ok(E::read(&record)?.map(|event| Self { event, record, cursor }))
    }
}
