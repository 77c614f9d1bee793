//! Reading events of which it is known where they stand.

use std::sync::Arc;

use annalist_core::{Position, RecordedEvent, StoreError};

use super::plan::{Part, Plan, Weight, disagreement};
use crate::{
    concurrency::{Instant, task},
    format::Place,
    limits,
    rocks::ReadError,
    shared::Shared,
};

/// Events that were read, and why not all were.
#[derive(Default)]
pub(crate) struct Fetched {
    pub(crate) events: Vec<RecordedEvent>,
    /// What stands in the way of the one behind them.
    pub(crate) failed: Option<StoreError>,
}

impl Fetched {
    /// The events if there are any: what failed is met again by the next fetch.
    pub(crate) fn or_failed(self) -> Result<Vec<RecordedEvent>, StoreError> {
        match self.failed {
            Some(error) if self.events.is_empty() => Err(error),
            _ => Ok(self.events),
        }
    }
}

/// Reads the events at these places, in the order given, which goes one way: those that make a batch, at least one if there are any.
/// What they weigh is said by the batch before, and to the next.
pub(crate) async fn fetch(
    shared: &Arc<Shared>,
    places: &[Place],
    weight: &mut Weight,
    is_right: impl Fn(usize, &RecordedEvent) -> bool,
) -> Fetched {
    let mut batch = Part::new(0, limits::BATCH_LIST_BYTES, *weight);
    let mut failed = fill(shared, places, &mut batch).await.err();
    *weight = batch.weight();
    let mut events = batch.events;
    if let Some(wrong) = (0..).zip(&events).position(|(at, event)| !is_right(at, event)) {
        let position = events.drain(wrong..).next().map_or(Position::ZERO, |event| event.position);
        failed = Some(ReadError::from(disagreement(position)).into_store_error());
    }
    Fetched { events, failed }
}

/// Reads what is in memory on the caller's thread, and what is not too, for a while, if the disk is quick. Then one thread that may block goes on as long as that is so.
/// When it is not, the others are asked for many at a time, since a disk answers many questions at once in little more time
/// than one.
async fn fill(shared: &Arc<Shared>, places: &[Place], batch: &mut Part) -> Result<(), StoreError> {
    let plan = Arc::new(Plan::new(places).map_err(|damage| ReadError::from(damage).into_store_error())?);
    batch.events.reserve(places.len());
    let (end, began) = (plan.end(), Instant::now());
    plan.read_memory(shared, began, batch).map_err(ReadError::into_store_error)?;
    let is_more = |batch: &Part| batch.next < end && !batch.is_full();
    while is_more(batch) && shared.pace.is_quick() && began.elapsed() < limits::INLINE_READ_MAX {
        let to = plan.fitting(batch).min(batch.next + limits::PAGES_AT_ONCE);
        let (read, _) = shared.pace.observe(to - batch.next, || plan.read(shared, to, batch));
        read.map_err(ReadError::into_store_error)?;
    }
    if is_more(batch) && shared.pace.is_worth_a_try() {
        let part = read_on(&plan, shared, batch.behind(), end, Pause::WhenSlow).await?;
        batch.add(part)?;
    }
    if !is_more(batch) {
        return Ok(());
    }
    let (at, end) = (batch.next, plan.fitting(batch));
    let share = (end - at).div_ceil(limits::FETCHES_TOGETHER).max(1);
    let begin = |first| (first, read_on(&plan, shared, batch.share(first), end.min(first + share), Pause::Never));
    let reads: Vec<_> = (at..end).step_by(share).map(begin).collect();
    for (first, read) in reads {
        // What is too much, or lies behind a share that was cut short, is read again.
        if batch.is_full() || batch.next < first {
            break;
        }
        batch.add(read.await?)?;
    }
    Ok(())
}

/// When a thread stops before it has read everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    WhenSlow,
    Never,
}

/// Begins to read the pages of a part, up to that before `to`, on a thread that may block.
fn read_on(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    mut part: Part,
    to: usize,
    pause: Pause,
) -> impl Future<Output = Result<Part, StoreError>> + use<> {
    let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
    let read = task::spawn_blocking(move || {
        while part.next < to && !part.is_full() && part.failed.is_none() {
            let some = plan.fitting(&part).min(to).min(part.next + limits::PAGES_AT_ONCE);
            let (read, is_slow) = match pause {
                Pause::WhenSlow => shared.pace.observe(some - part.next, || plan.read(&shared, some, &mut part)),
                Pause::Never => (plan.read(&shared, some, &mut part), false),
            };
            part.failed = read.err();
            if is_slow {
                break;
            }
        }
        part
    });
    async { read.await.map_err(|_| StoreError::Closed) }
}

#[cfg(test)]
mod tests;
