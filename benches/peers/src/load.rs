//! Writers at work on a peer: the load of `benches`, for stores that know nothing of Annalist's port.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use benches::{Failure, Load};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::{
    batch::{How, Writer},
    cpu,
    figures::Figures,
    peer::Peer,
};

/// Lets the writers append for a tenth of `duration` and then for `duration`; what was acknowledged in the second span counts.
pub(crate) async fn append<P: Peer>(peer: &Arc<P>, load: Load, how: How, seconds: f64) -> Result<Figures, Failure> {
    let duration = Duration::from_secs_f64(seconds);
    let begin = Instant::now() + duration / 10;
    let end = begin + duration;
    let mut writers = JoinSet::new();
    for number in 0..load.writers {
        let (peer, mut writer) = (Arc::clone(peer), Writer::new(number, how)?);
        writers.spawn(async move {
            let mut latency_us = histogram()?;
            loop {
                let batch = writer.next(load.events);
                let called = Instant::now();
                if called >= end {
                    return Ok::<_, Failure>(latency_us);
                }
                peer.append(batch).await?;
                let answered = Instant::now();
                if answered >= begin && answered < end {
                    record(&mut latency_us, called, answered);
                }
            }
        });
    }
    let (latency_us, spent) = tokio::join!(gather(writers), cpu::spent(peer.process(), begin, duration));
    let latency_us = latency_us?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let events = latency_us.len() as f64 * load.events as f64;
    Ok(Figures::of(&latency_us, events / seconds).spending(spent, latency_us.len()))
}

/// Records the time between two moments, in microseconds.
pub(crate) fn record(latency_us: &mut Histogram<u64>, from: Instant, to: Instant) {
    latency_us.saturating_record(u64::try_from(to.duration_since(from).as_micros()).unwrap_or(u64::MAX));
}

/// What all of them recorded.
pub(crate) async fn gather(mut tasks: JoinSet<Result<Histogram<u64>, Failure>>) -> Result<Histogram<u64>, Failure> {
    let mut latency_us = histogram()?;
    while let Some(finished) = tasks.join_next().await {
        latency_us.add(finished??)?;
    }
    Ok(latency_us)
}

/// Up to a minute; two digits, because a thousand writers have one each.
pub(crate) fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_max(60_000_000, 2)
}
