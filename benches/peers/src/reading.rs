//! Readers at work on a peer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use benches::{Failure, Random};
use tokio::task::JoinSet;

use crate::{
    cpu,
    figures::{Figures, RATE, READS},
    fill::What,
    load::{gather, histogram, record},
    peer::Peer,
};

/// The log is replayed so often; each pass is a figure of its own.
const PASSES: usize = 3;

/// Lets readers read random tags or streams for a tenth of `seconds` and then for `seconds`.
pub(crate) async fn read<P: Peer>(
    peer: &Arc<P>,
    what: What,
    readers: u64,
    events: u64,
    seconds: f64,
) -> Result<Figures, Failure> {
    let duration = Duration::from_secs_f64(seconds);
    let begin = Instant::now() + duration / 10;
    let end = begin + duration;
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        let (peer, mut random) = (Arc::clone(peer), Random::new(reader));
        tasks.spawn(async move {
            let mut latency_us = histogram()?;
            loop {
                let called = Instant::now();
                if called >= end {
                    return Ok::<_, Failure>(latency_us);
                }
                what.read(&*peer, events, &mut random).await?;
                let answered = Instant::now();
                if called >= begin {
                    record(&mut latency_us, called, answered);
                }
                // A store that reads on the caller's thread must not keep it from the other readers.
                tokio::task::yield_now().await;
            }
        });
    }
    let (latency_us, spent) = tokio::join!(gather(tasks), cpu::spent(peer.process(), begin, duration));
    let latency_us = latency_us?;
    let matches = match what {
        What::Tag(matches) | What::Stream(matches) => matches,
    };
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (reads, matches) = (latency_us.len() as f64 / seconds, matches as f64);
    let figures = Figures::of(&latency_us, reads * matches).with(READS, reads);
    Ok(figures.spending(spent, latency_us.len()))
}

/// Replays the log; the median of three passes counts. In a task, as a service reads.
pub(crate) async fn replay<P: Peer>(peer: &Arc<P>, events: u64) -> Result<Figures, Failure> {
    let mut passes = Vec::with_capacity(PASSES);
    for _ in 0..PASSES {
        let peer = Arc::clone(peer);
        let begin = Instant::now();
        let seen = tokio::spawn(async move { peer.replay().await }).await??;
        if seen.events < events {
            return Err(format!("the log has {events} events, {} were read", seen.events).into());
        }
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let rate = seen.events as f64 / begin.elapsed().as_secs_f64();
        passes.push(Figures::default().with(RATE, rate));
    }
    Ok(Figures::median(&passes))
}
