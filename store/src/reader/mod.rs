//! Finite reads, and the look-ups beside them.

mod log;
mod places;
mod plan;
mod query;
mod stream;

use std::sync::Arc;

use annalist_core::{
    Appended, Batches, Key, Outcome, Position, Read, Source, Statistics, StoreError, StreamId, Timestamp, Version,
};

use crate::{
    format::{Damage, KeyRow},
    rocks::{ReadError, Tier},
    shared::{Shared, look_up},
};

use log::LogRead;
pub(crate) use log::fetch_log;
pub(crate) use plan::Weight;
use plan::page_of;
use query::QueryRead;
pub(crate) use query::fetch_matching;
use stream::StreamRead;

/// Begins a read of the log as it is now.
pub(crate) fn begin(shared: &Arc<Shared>, read: Read) -> Result<Box<dyn Batches>, StoreError> {
    let head = shared.cursor(shared.watermark());
    let Read { source, direction, limit, .. } = read;
    shared.metrics.reads(&source);
    let weight = Weight::of(shared);
    let shared = Arc::downgrade(shared);
    match source {
        Source::All { bound } => Ok(Box::new(LogRead::new(shared, bound, direction, limit, head))),
        Source::Stream { stream, bound } => {
            Ok(Box::new(StreamRead::new(shared, stream, bound, direction, limit, head, weight)))
        }
        Source::Query { query, bound } => {
            query.check()?;
            if query.is_all() {
                return Ok(Box::new(LogRead::new(shared, bound, direction, limit, head)));
            }
            Ok(Box::new(QueryRead::new(shared, query, bound, direction, limit, head, weight)))
        }
        // A source that this version does not know; none exists so far.
        _ => Err(StoreError::Unavailable { why: "this store cannot read from such a source".to_owned() }),
    }
}

/// What the store holds, as of now.
pub(crate) fn statistics(shared: &Shared) -> Result<Statistics, ReadError> {
    let (seen, totals) = shared.durable_totals();
    let mut statistics = Statistics::at(shared.cursor(seen));
    statistics.streams = totals.streams;
    statistics.event_bytes = totals.event_bytes;
    statistics.indexed = shared.view.load().mark().min(seen);
    statistics.log_bytes = shared.log.disk_bytes()?;
    statistics.index_bytes = shared.index.disk_bytes()?;
    Ok(statistics)
}

/// The last position whose event was recorded before `time`. Time never goes backwards in the log, so the pages are
/// searched by halves: about twenty of them in a log of ten million events.
pub(crate) fn position_before(shared: &Shared, time: Timestamp) -> Result<Position, ReadError> {
    let (mut before, mut behind) = (Position::ZERO, shared.watermark().next());
    // Everything up to `before` is earlier, everything from `behind` on is not.
    while before.next() < behind {
        let middle = Position::new(before.get() + (behind.get() - before.get()) / 2);
        let page = shared.page_with(middle)?;
        for record in page.records(page.first(), page.last().min(behind.previous())) {
            let record = record?;
            if record.time < time {
                before = before.max(record.position);
            } else {
                behind = behind.min(record.position);
                break;
            }
        }
    }
    Ok(before)
}

/// What is recorded under a key.
pub(crate) async fn outcome(shared: &Arc<Shared>, key: &Key) -> Result<Option<Outcome>, StoreError> {
    let key = key.clone();
    let row = look_up(shared, move |shared, tier| {
        let (seen, view) = shared.durable_view();
        view.key(&shared.index, &key, seen, tier)
    });
    match row.await? {
        None => Ok(None),
        Some(row) => outcome_of(shared, row).await.map(Some),
    }
}

/// What was recorded with a key.
pub(crate) async fn outcome_of(shared: &Arc<Shared>, row: KeyRow) -> Result<Outcome, StoreError> {
    look_up(shared, move |shared, tier| fetch_outcome(shared, row, tier)).await
}

fn fetch_outcome(shared: &Shared, row: KeyRow, tier: Tier) -> Result<Outcome, ReadError> {
    let mut page = shared.page(page_of(row.first, row.slot)?, tier)?;
    let frame = page.frame_before(row.first)?;
    let keyed = frame.keyed.filter(|keyed| keyed.fingerprint == row.fingerprint);
    let keyed = keyed
        .ok_or(Damage { position: row.first, detail: "the index and the log disagree; delete the index folder" })?;
    let mut streams: Vec<(StreamId, Version)> = Vec::new();
    loop {
        for record in page.records(row.first, row.last()) {
            let record = record?;
            match streams.iter_mut().find(|(stream, _)| stream.as_str() == record.stream()) {
                Some((_, version)) => *version = record.version,
                None => streams.push((record.stream_id(), record.version)),
            }
        }
        if page.last() >= row.last() {
            break;
        }
        page = shared.page(page.last().next(), tier)?;
    }
    let appended = Appended { after: row.first.previous(), cursor: shared.cursor(row.last()), streams, repeated: true };
    Ok(Outcome { fingerprint: row.fingerprint, reply: keyed.reply, appended })
}
