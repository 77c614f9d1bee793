//! The index thread: makes a chunk of every generation that is frozen and durable.

use std::sync::Arc;

use annalist_core::Epoch;

use crate::{
    concurrency::{Instant, Receiver},
    format::{self, Kind, ListRow, MARK_KEY, Mark},
    limits,
    rocks::{IndexDb, IndexError},
    shared::Shared,
    tail::{Generation, Seal},
};

/// Takes frozen generations until no more come. After a failure it only takes them: the log is never harmed, memory is
/// bounded by refusing appends.
pub(crate) fn run(shared: &Shared, frozen: &Receiver<Arc<Generation>>) {
    for generation in frozen {
        let Some(seal) = generation.seal() else { continue };
        shared.wait_until(|shared| shared.watermark() >= seal.position || shared.poisoned().is_some());
        // Only what is durable is ever indexed.
        if shared.watermark() < seal.position || shared.index_failure().is_some() {
            continue;
        }
        let began = Instant::now();
        match add_chunk(&shared.index, &generation, seal, shared.identity.epoch) {
            Ok(()) => {
                shared.metrics.indexed(began.elapsed());
                shared.change_view(crate::tail::View::without_oldest);
            }
            Err(error) => shared.fail_index(error.to_string()),
        }
    }
}

/// The rows of a chunk: one buffer, and where each row lies in it.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    /// Start, end of the key, end of the value.
    extents: Vec<(usize, usize, usize)>,
}

impl Rows {
    fn add(&mut self, key: impl FnOnce(&mut Vec<u8>), value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        key(&mut self.bytes);
        let key_end = self.bytes.len();
        value(&mut self.bytes);
        self.extents.push((start, key_end, self.bytes.len()));
    }

    fn slice(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn sorted(mut self) -> Self {
        let mut extents = std::mem::take(&mut self.extents);
        extents.sort_unstable_by(|(a, a_end, _), (b, b_end, _)| self.slice(*a, *a_end).cmp(self.slice(*b, *b_end)));
        self.extents = extents;
        self
    }
}

/// Adds a frozen generation to the index on disk.
pub(crate) fn add_chunk(index: &IndexDb, generation: &Generation, seal: Seal, epoch: Epoch) -> Result<(), IndexError> {
    let span = tracing::debug_span!(
        "annalist.index",
        events = generation.event_count(),
        position = seal.position.get(),
        rows = tracing::field::Empty
    );
    let _entered = span.enter();
    let began = Instant::now();
    let mut rows = Rows::default();
    generation.for_each_list(|kind, name, version, places| {
        for (at, run) in places.chunks(limits::LIST_ROW_EVENTS).enumerate() {
            let first = match (kind, run.first()) {
                (Kind::Stream, _) | (_, None) => version.get() + (at * limits::LIST_ROW_EVENTS) as u64,
                (_, Some((position, _))) => position.get(),
            };
            rows.add(|key| format::list_row_key(key, kind, name, first), |value| ListRow::encode_places(value, run));
        }
    });
    generation.for_each_key(|key, row| {
        rows.add(|row_key| format::key_row_key(row_key, key), |value| row.encode(value));
    });
    let mark = Mark { epoch, position: seal.position, checksum: seal.checksum, totals: generation.totals() };
    rows.add(|key| key.extend_from_slice(MARK_KEY), |value| value.extend_from_slice(&mark.encode()));
    let rows = rows.sorted();
    index.ingest(rows.extents.iter().map(|(start, key, end)| (rows.slice(*start, *key), rows.slice(*key, *end))))?;
    span.record("rows", rows.extents.len());
    tracing::debug!(elapsed = ?began.elapsed(), "added a chunk to the index");
    Ok(())
}
