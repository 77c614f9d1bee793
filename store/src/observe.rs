//! What an open store says of itself to those who watch over it.

use std::{sync::Arc, time::Duration};

use annalist_metrics::{Health, Metrics};

use crate::{
    limits, metrics,
    rocks::{Condition, ReadError},
    shared::{Shared, blocking},
};

/// For how long a write may be under way before nobody should wait for it: far longer than disks take, even slow ones.
const WRITE_IS_STUCK: Duration = Duration::from_secs(10);

/// Whether the store takes appends. Asks no disk, so that a disk which does not answer holds nobody up.
pub(crate) fn health(shared: &Shared) -> Health {
    if let Some(poisoned) = shared.poisoned() {
        return Health::read_only(poisoned.to_string());
    }
    let stuck = shared.metrics.commit_under_way().filter(|under_way| *under_way > WRITE_IS_STUCK);
    if let Some(under_way) = stuck {
        let why = format!("a write has been under way for {} s: look at the disk", under_way.as_secs());
        return Health::read_only(why);
    }
    if let Some(why) = shared.space.shortage() {
        return Health::read_only(why);
    }
    match shared.index_failure() {
        None => Health::Healthy,
        Some(why) if shared.view.load().frozen_count() >= limits::FROZEN_GENERATIONS_MAX => {
            Health::read_only(format!("the tail is full and the index cannot be written ({why}); reopen the store"))
        }
        Some(why) => {
            Health::degraded(format!("the index cannot be written ({why}); reopen the store before the tail is full"))
        }
    }
}

/// Everything that is measured. What cannot be read is left out.
pub(crate) async fn collect(shared: &Arc<Shared>, queued: usize, in_flight_bytes: usize) -> Metrics {
    let mut all = Metrics::default();
    let (head, totals) = shared.durable_totals();
    let view = shared.view.load_full();
    all.add_health(metrics::STORE_HEALTH, &[], &health(shared));
    all.add_gauge(metrics::STORE_EVENTS, &[], head.get());
    all.add_gauge(metrics::STORE_STREAMS, &[], totals.streams);
    all.add_gauge(metrics::STORE_EVENT_BYTES, &[], totals.event_bytes);
    all.add_gauge(metrics::APPEND_QUEUED, &[], queued as u64);
    all.add_gauge(metrics::APPEND_IN_FLIGHT, &[], in_flight_bytes as u64);
    all.add_gauge(metrics::INDEX_LAG, &[], head.get().saturating_sub(view.mark().get()));
    all.add_gauge(metrics::INDEX_WAITING, &[], view.frozen_count() as u64);
    shared.metrics.collect(head, &mut all);
    let of_disk = Arc::clone(shared);
    if let Ok(of_disk) = blocking(move || Ok::<_, ReadError>(disk(&of_disk))).await {
        all.extend(of_disk);
    }
    all
}

/// What only the disk and RocksDB can tell. Blocks.
fn disk(shared: &Shared) -> Metrics {
    let mut all = Metrics::default();
    for (part, occupied) in [("log", shared.log.disk_bytes()), ("index", shared.index.disk_bytes())] {
        if let Ok(bytes) = occupied {
            all.add_gauge(metrics::STORE_DISK, &[part], bytes);
        }
    }
    if let Ok(free) = shared.log.free_bytes() {
        all.add_gauge(metrics::STORE_DISK_FREE, &[], free);
    }
    for (part, condition) in [("log", shared.log.condition()), ("index", shared.index.condition())] {
        let Condition { pending_compaction_bytes, writes_stopped, delayed_write_rate, .. } = condition;
        all.add_gauge(metrics::STORE_COMPACTION, &[part], pending_compaction_bytes);
        all.add_gauge(metrics::STORE_STALLED, &[part], u64::from(writes_stopped));
        all.add_gauge(metrics::STORE_DELAYED, &[part], delayed_write_rate);
        all.add_gauge(metrics::STORE_ERRORS, &[part], condition.background_errors);
        all.add_gauge(metrics::STORE_MEMTABLES, &[part], condition.memtable_bytes);
    }
    all.add_gauge(metrics::STORE_CACHE, &[], shared.index.cached_bytes() as u64);
    all
}

/// What is left to say of a store that is closed.
pub(crate) fn closed() -> (Health, Metrics) {
    let health = Health::failed("the store is closed; open it again");
    let mut all = Metrics::default();
    all.add_health(metrics::STORE_HEALTH, &[], &health);
    (health, all)
}

#[cfg(test)]
mod tests;
