//! Caring for a store: what its operators call, beside what its users do.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use annalist_core::{Cursor, Position, Progress, SYSTEM_STREAM, StoreError, StreamId, Verified, Version, category};

use crate::{
    error::OpenError,
    format::Damage,
    options::StoreOptions,
    recovery,
    rocks::{ReadError, Tier},
    shared::blocking,
    store::Store,
    verify::Verifier,
};

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
        mut progress: impl FnMut(Progress) -> ControlFlow<()> + Send,
    ) -> Result<Verified, StoreError> {
        let shared = self.shared()?;
        let mut verifier = blocking(move || Verifier::begin(&shared, after)).await?;
        while progress(verifier.progress()).is_continue() {
            // Asked for anew each time, so that the store can close meanwhile.
            let shared = self.shared()?;
            let more;
            (verifier, more) = blocking(move || {
                let more = verifier.step(&shared)?;
                Ok((verifier, more))
            })
            .await?;
            if !more {
                let _ = progress(verifier.progress());
                break;
            }
        }
        Ok(verifier.finish())
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
        let shared = self.shared()?;
        let (within, after) = (within.map(str::to_owned), after.unwrap_or_default().to_owned());
        blocking(move || {
            let is_wanted =
                |name: &str| name > after.as_str() && within.as_deref().is_none_or(|within| category(name) == within);
            let (seen, view) = shared.durable_view();
            let begin = within.as_deref().unwrap_or_default().max(after.as_str());
            let mut names = BTreeSet::new();
            view.for_each_stream(|name| _ = is_wanted(name) && names.insert(name.to_owned()));
            let mut on_disk = 0;
            shared.index.stream_names(begin, |name| {
                if is_wanted(name) {
                    on_disk += 1;
                    names.insert(name.to_owned());
                }
                on_disk < limit && within.as_deref().is_none_or(|within| name.starts_with(within))
            })?;
            let heads = names.iter().map(|name| {
                let stream = if name == SYSTEM_STREAM { Ok(StreamId::system()) } else { StreamId::new(name.as_str()) };
                let detail = "a name in the index is malformed; delete the index folder";
                let stream = stream.map_err(|_| Damage { position: Position::ZERO, detail })?;
                Ok((stream, view.head(&shared.index, name, seen, Tier::Disk)?))
            });
            let is_durable = |found: &Result<_, ReadError>| !matches!(found, Ok((_, Version::ZERO)));
            heads.filter(is_durable).take(limit).collect()
        })
        .await
    }
}
