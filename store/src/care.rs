//! Caring for a store: what its operators call, beside what its users do.

mod streams;

use std::{ops::ControlFlow, path::Path};

use annalist_core::{Cursor, Position, Progress, StoreError, StreamId, Verified, Version};

use crate::{error::OpenError, options::StoreOptions, recovery, store::Store, verify};

pub(crate) use streams::streams;

impl Store {
    /// Verifies what is recorded behind `after` while the store goes on working: the checksums of pages and records, the chain
    /// of the pages, that positions are dense and versions contiguous, and that the index says what the log says. From the
    /// beginning, [`Position::ZERO`], it also counts whether the index has anything else.
    ///
    /// `progress`, in positions, is told after some thousand events each and may stop it; go on later behind
    /// [`Verified::through`]. It reads the whole log and competes with everything else for the disk.
    ///
    /// # Errors
    /// What is damaged is part of the report. [`StoreError::Unavailable`] when the disk cannot be read at all,
    /// [`StoreError::Closed`] when the store closes.
    pub async fn verify(
        &self,
        after: Position,
        progress: impl FnMut(Progress) -> ControlFlow<()> + Send,
    ) -> Result<Verified, StoreError> {
        verify::run(|| self.shared(), after, progress).await
    }

    /// Builds the index of a store that is not open anew from its log. Cached snapshots go with it and come back by use.
    /// `progress` is told in positions. Returns the head of the log.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way; [`OpenError::Damaged`] when the log cannot be read to its end. The old index is gone
    /// then, and nothing else.
    pub fn rebuild_index(
        dir: impl AsRef<Path>,
        options: StoreOptions,
        mut progress: impl FnMut(Progress),
    ) -> Result<Cursor, OpenError> {
        let opened = recovery::rebuild(dir.as_ref(), options, &mut progress)?;
        Ok(opened.shared.cursor(opened.shared.watermark()))
    }

    /// The streams of the store, or of one category, by name, and their last versions: at most `limit` behind `after`.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn streams(
        &self,
        within: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Version)>, StoreError> {
        streams::streams(&self.shared()?, within, after, limit).await
    }
}
