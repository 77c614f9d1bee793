//! Streams to read, and readers at work on them.

use std::{
    fmt,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use annalist_core::{Append, EventStore, Expected, Invalid, Read, RecordedEvent, StreamId, Version};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::{EventSource, Failure, Random};

/// Events of each group of streams: small enough that its lists fit the default block cache, so that warm means warm.
const GROUP_EVENTS: u64 = 50_000;

/// Streams that get an event at a time when they are written side by side.
const SIDE_BY_SIDE: u64 = 500;

/// A group of streams, all of the same length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Streams {
    /// Events of each.
    pub events: u64,
    /// Whether the events of a stream lie as far apart as those of 500 streams that grow at the same time, or were
    /// appended together.
    pub spread: bool,
}

impl fmt::Display for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events, {}", self.events, if self.spread { "spread" } else { "together" })
    }
}

impl Streams {
    const fn count(self) -> u64 {
        GROUP_EVENTS / self.events
    }

    fn stream(self, number: u64) -> Result<StreamId, Invalid> {
        StreamId::of(if self.spread { "spread" } else { "together" }, format_args!("{}-{number}", self.events))
    }

    /// Writes the group.
    ///
    /// # Errors
    /// The first append that is not acknowledged.
    pub async fn write(self, store: &Arc<dyn EventStore>) -> Result<(), Failure> {
        let mut source = EventSource::new(0)?;
        let (streams, events) = if self.spread { (SIDE_BY_SIDE, 1) } else { (1, self.events) };
        for first in (0..self.count()).step_by(usize::try_from(streams)?) {
            for version in (0..self.events).step_by(usize::try_from(events)?) {
                let mut append = Append::new();
                for number in first..(first + streams).min(self.count()) {
                    let expected = Expected::Exact(Version::new(version));
                    append = append.events(self.stream(number)?, expected, (0..events).map(|_| source.event()));
                }
                store.append(append).await?;
            }
        }
        Ok(())
    }

    /// Reads every stream of the group once.
    ///
    /// # Errors
    /// When one cannot be read, or not all of it comes.
    pub async fn warm(self, store: &Arc<dyn EventStore>) -> Result<(), Failure> {
        for number in 0..self.count() {
            self.read(store, number).await?;
        }
        Ok(())
    }

    async fn read(self, store: &Arc<dyn EventStore>, number: u64) -> Result<(), Failure> {
        let stream = self.stream(number)?;
        let mut batches = store.read(Read::stream(stream.clone(), Version::ZERO)).await?;
        let (mut seen, mut sum) = (0, 0);
        loop {
            let events = batches.next().await?;
            if events.is_empty() {
                break;
            }
            seen += events.len();
            sum += events.iter().map(touch).sum::<u64>();
        }
        black_box(sum);
        if u64::try_from(seen)? == self.events {
            Ok(())
        } else {
            Err(format!("{stream} has {} events, {seen} were read", self.events).into())
        }
    }
}

/// Lets `readers` read random streams of the group for `duration`; returns how long each read took, in microseconds.
///
/// # Errors
/// When one cannot be read, or not all of it comes.
pub async fn read_streams(
    store: &Arc<dyn EventStore>,
    streams: Streams,
    readers: u64,
    duration: Duration,
) -> Result<Histogram<u64>, Failure> {
    let end = Instant::now() + duration;
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut random = Random::new(reader);
            let mut latency_us = histogram()?;
            loop {
                let called = Instant::now();
                if called >= end {
                    return Ok::<_, Failure>(latency_us);
                }
                streams.read(&store, random.below(streams.count())).await?;
                latency_us.saturating_record(u64::try_from(called.elapsed().as_micros())?);
            }
        });
    }
    let mut latency_us = histogram()?;
    while let Some(finished) = tasks.join_next().await {
        latency_us.add(finished??)?;
    }
    Ok(latency_us)
}

fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_max(60_000_000, 3)
}

/// Looks at what a reader of an event looks at: stream, type, version, and both ends of the payload.
#[must_use]
pub fn touch(event: &RecordedEvent) -> u64 {
    let payload = event.payload();
    let ends = payload.first().into_iter().chain(payload.last()).map(|byte| u64::from(*byte)).sum::<u64>();
    let (stream, kind) = black_box((event.stream(), event.type_name()));
    let names = (stream.len() + kind.len()) as u64;
    event.version.get() + u64::from(event.type_version()) + names + ends
}
