//! The relay's own note, and where to continue.

use annalist_core::{Cursor, EventStore, StoreError, locate};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    publisher::{Published, Tail},
    status::Stopped,
};

/// How far a relay has come: the local pair (scanned through, last published).
///
/// The broker's last message says where to continue; the note only spares scanning again what was scanned behind it
/// and maps to nothing. It counts only if the broker's last message is the one that is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Everything up to here is published, or maps to nothing.
    pub(super) scanned: Cursor,
    /// The broker's number of the last published message; 0 if nothing was published yet.
    pub(super) sequence: u64,
    /// The last published message.
    pub(super) last: Option<Published>,
}

impl Note {
    /// As JSON: a note is small, rare, and read by people when something is wrong.
    pub(super) fn encode(&self) -> Option<Bytes> {
        serde_json::to_vec(self).ok().map(Bytes::from)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The same note, in the words of this log if it was restored since and still has what the note speaks of.
    pub(super) async fn located(self, log: &dyn EventStore) -> Result<Self, StoreError> {
        let mut note = self;
        located(log, &mut note.scanned).await?;
        if let Some(last) = &mut note.last {
            located(log, &mut last.cursor).await?;
        }
        Ok(note)
    }

    fn agrees(&self, tail: &Tail) -> bool {
        self.sequence == tail.sequence && (tail.last.is_none() || tail.last == self.last)
    }
}

/// Where a relay continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// Everything up to here is dealt with.
    pub(super) after: Cursor,
    /// The last message that the broker holds; of the event behind `after` it may hold some and not others.
    pub(super) last: Option<Published>,
    /// How many messages the broker once acknowledged and no longer knows of: they are published again.
    pub(super) lost: u64,
}

/// Decides where to continue, by what the broker holds, what is noted, and the head of the log.
///
/// A broker that has lost its end (or everything) is brought up to date again from what it still holds: consumers may
/// see an event twice, never a hole.
pub(super) fn start(tail: &Tail, note: Option<&Note>, head: &Cursor) -> Result<Start, Stopped> {
    let note = note.filter(|note| note.scanned.fits(head));
    let lost = note.map_or(0, |note| note.sequence.saturating_sub(tail.sequence));
    if let Some(last) = tail.last.filter(|last| !last.cursor.fits(head)) {
        return Err(Stopped::Foreign { last, head: *head });
    }
    if let Some(note) = note.filter(|note| note.agrees(tail)) {
        return Ok(Start { after: note.scanned, last: note.last, lost });
    }
    match tail.last {
        Some(last) => Ok(Start { after: before(last.cursor), last: Some(last), lost }),
        None if tail.sequence == 0 => Ok(Start { after: Cursor::START, last: None, lost }),
        None => Err(Stopped::LostTrack { sequence: tail.sequence }),
    }
}

/// Replaces a cursor of before a restore, unless it has seen what is no longer there.
pub(super) async fn located(log: &dyn EventStore, cursor: &mut Cursor) -> Result<(), StoreError> {
    match locate(log, *cursor).await {
        Ok(now) => *cursor = now,
        Err(StoreError::ForeignCursor { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn before(cursor: Cursor) -> Cursor {
    cursor.at(cursor.position.previous())
}

#[cfg(test)]
mod tests;
