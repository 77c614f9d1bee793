//! What one must know to ask for something that is likely to be accepted.

use annalist_core::{Append, Cursor, Position, StreamId, Timestamp, Version};

/// How the log looks to whoever asks: to the oracle as it is, to a client among others as it was when it last looked.
pub(crate) trait Known {
    /// The last position.
    fn head(&self) -> Cursor;

    /// The last version of a stream; zero if there is none.
    fn version(&self, stream: &StreamId) -> Version;

    /// When an event was recorded, if that was seen.
    fn time(&self, position: Position) -> Option<Timestamp>;

    /// The version of a stream behind the entries that an append has so far.
    fn version_within(&self, append: &Append, stream: &StreamId) -> Version {
        let entries = append.entries.iter().filter(|entry| entry.stream == *stream);
        let new: usize = entries.map(|entry| entry.events.len()).sum();
        Version::new(self.version(stream).get() + new as u64)
    }
}
