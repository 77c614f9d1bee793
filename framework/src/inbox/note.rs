//! How far an inbox has come, noted in the store that has the effects: after a restore it says what the store still has.

use annalist_core::{Checkpoints, Cursor, EventStore, StoreError};
use serde::{Deserialize, Serialize};

/// It stands in the store as JSON, beside what the messages caused, and so is restored with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The head of the log when an inbox noted something in this epoch for the first time since it was started.
    log: Cursor,
    /// What is consumed: the numbers of another stream mean nothing here.
    consumer: String,
    /// Every message up to this number of the broker's is dealt with.
    through: u64,
}

impl Note {
    /// The name of an inbox's note. It never changes.
    fn name(inbox: &str) -> String {
        format!("inbox/{inbox}")
    }

    pub(super) const fn new(log: Cursor, consumer: String, through: u64) -> Self {
        Self { log, consumer, through }
    }

    pub(super) async fn save(&self, notes: &dyn Checkpoints, inbox: &str) -> Result<(), StoreError> {
        notes.save(&Self::name(inbox), serde_json::to_vec(self).unwrap_or_default().into()).await
    }

    async fn load(notes: &dyn Checkpoints, inbox: &str) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = notes.load(&Self::name(inbox)).await? else { return Ok(None) };
        let unreadable =
            |error| StoreError::Unavailable { why: format!("the note of the inbox cannot be read: {error}") };
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }
}

/// Where an inbox begins.
pub(super) struct Begin {
    /// The head of the log.
    pub(super) log: Cursor,
    /// The first message whose effects the log may not have, though the broker may know it as acknowledged: only after a restore.
    pub(super) from: Option<u64>,
}

impl Begin {
    pub(super) async fn find(
        log: &dyn EventStore,
        notes: &dyn Checkpoints,
        inbox: &str,
        consumer: &str,
    ) -> Result<Self, StoreError> {
        let log = log.head().await?;
        let note = Note::load(notes, inbox).await?;
        let note = note.filter(|note| note.log.epoch != log.epoch && note.consumer == consumer);
        Ok(Self { log, from: note.map(|note| note.through.saturating_add(1)) })
    }
}
