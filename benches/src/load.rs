//! Writers at work.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use annalist_core::EventStore;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::{EventSource, Failure};

/// How many writers append how many events each at a time. Shown as `64x1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Writers, each waiting for its answer before it appends again.
    pub writers: u64,
    /// Events per append.
    pub events: usize,
}

/// The rows of appends, here and beside other stores.
pub const LOADS: [Load; 7] = [
    Load { writers: 1, events: 1 },
    Load { writers: 16, events: 1 },
    Load { writers: 64, events: 1 },
    Load { writers: 256, events: 1 },
    Load { writers: 1024, events: 1 },
    Load { writers: 64, events: 64 },
    Load { writers: 64, events: 512 },
];

/// How logs are filled: streams of the usual length, many at a time.
const FILL: Load = Load { writers: 16, events: 25 };

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.writers, self.events)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct LoadFigures {
    /// Acknowledged appends per second.
    pub appends_per_second: f64,
    /// Acknowledged events per second.
    pub events_per_second: f64,
    /// From the call to the acknowledgement, in microseconds, within one per cent.
    pub latency_us: Histogram<u64>,
}

/// Lets the writers run for `warm_up` and then for `duration`; what was acknowledged in the second span counts.
///
/// # Errors
/// The first append that is not acknowledged.
pub async fn run_load(
    store: &Arc<dyn EventStore>,
    load: Load,
    warm_up: Duration,
    duration: Duration,
) -> Result<LoadFigures, Failure> {
    let begin = Instant::now() + warm_up;
    let end = begin + duration;
    let mut writers = JoinSet::new();
    for writer in 0..load.writers {
        writers.spawn(write(Arc::clone(store), EventSource::new(writer)?, load.events, begin, end));
    }
    let mut latency_us = histogram()?;
    while let Some(finished) = writers.join_next().await {
        latency_us.add(finished??)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let appends_per_second = latency_us.len() as f64 / duration.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let events_per_second = appends_per_second * load.events as f64;
    Ok(LoadFigures { appends_per_second, events_per_second, latency_us })
}

/// Writes about so many events, as fast as they are taken: what the reading benches read. `prepare` makes of each
/// writer's events what the reader needs.
///
/// # Errors
/// The first append that is not acknowledged.
pub async fn fill(
    store: &Arc<dyn EventStore>,
    events: u64,
    prepare: fn(EventSource) -> EventSource,
) -> Result<(), Failure> {
    let mut writers = JoinSet::new();
    for writer in 0..FILL.writers {
        let (store, mut source) = (Arc::clone(store), prepare(EventSource::new(writer)?));
        let appends = events.div_ceil(FILL.writers * u64::try_from(FILL.events)?);
        writers.spawn(async move {
            for _ in 0..appends {
                store.append(source.append(FILL.events)?).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(finished) = writers.join_next().await {
        finished??;
    }
    Ok(())
}

async fn write(
    store: Arc<dyn EventStore>,
    mut source: EventSource,
    events: usize,
    begin: Instant,
    end: Instant,
) -> Result<Histogram<u64>, Failure> {
    let mut latency_us = histogram()?;
    loop {
        let append = source.append(events)?;
        let called = Instant::now();
        if called >= end {
            return Ok(latency_us);
        }
        store.append(append).await?;
        let answered = Instant::now();
        if answered >= begin && answered < end {
            let elapsed = answered.duration_since(called).as_micros();
            latency_us.saturating_record(u64::try_from(elapsed).unwrap_or(u64::MAX));
        }
    }
}

/// Lets clients act at the same time, each again as soon as it has done, for `warm_up` and then for `duration`; what was done
/// in the second span counts.
///
/// # Errors
/// The first act that fails.
pub async fn run_clients<C, F>(
    clients: Vec<C>,
    act: fn(C) -> F,
    warm_up: Duration,
    duration: Duration,
) -> Result<Histogram<u64>, Failure>
where
    C: Send + 'static,
    F: Future<Output = Result<C, Failure>> + Send + 'static,
{
    let begin = Instant::now() + warm_up;
    let end = begin + duration;
    let mut running = JoinSet::new();
    for mut client in clients {
        running.spawn(async move {
            let mut latency_us = histogram()?;
            let mut called = Instant::now();
            while called < end {
                client = act(client).await?;
                let answered = Instant::now();
                if answered >= begin && answered < end {
                    let elapsed = answered.duration_since(called).as_micros();
                    latency_us.saturating_record(u64::try_from(elapsed).unwrap_or(u64::MAX));
                }
                called = answered;
            }
            Ok::<_, Failure>(latency_us)
        });
    }
    let mut latency_us = histogram()?;
    while let Some(finished) = running.join_next().await {
        latency_us.add(finished??)?;
    }
    Ok(latency_us)
}

/// Up to a minute; two digits, because a thousand writers have one each.
fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_max(60_000_000, 2)
}
