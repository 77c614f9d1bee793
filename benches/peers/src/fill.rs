//! Logs to read, to open and to weigh.

use std::sync::Arc;

use benches::{EventSource, Failure, Random};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    batch::{Batch, How, Item, Once, Writer},
    peer::{Peer, Seen},
};

/// How a log is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Log {
    /// Streams of 100 events, each appended at once, 16 at a time: what is quickly written.
    Streams,
    /// Every event lies as far as can be from the others of its stream and of its tags: what is slow to read.
    Spread,
}

/// Writers that fill a log of streams, and events of an append.
const WRITERS: u64 = 16;
const STREAM_EVENTS: u64 = 100;

/// Events of an append that fills a log with spread events.
const SPREAD_EVENTS: u64 = 250;

/// Fills a new log with so many events, a multiple of 1,600.
pub(crate) async fn fill<P: Peer>(peer: &Arc<P>, log: Log, events: u64) -> Result<(), Failure> {
    match log {
        Log::Streams => streams(peer, events).await,
        Log::Spread => spread(peer, events).await,
    }
}

async fn streams<P: Peer>(peer: &Arc<P>, events: u64) -> Result<(), Failure> {
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (peer, mut writer) = (Arc::clone(peer), Writer::new(number, How::Streams)?);
        let appends = events / (WRITERS * STREAM_EVENTS);
        writers.spawn(async move {
            for _ in 0..appends {
                peer.append(writer.next(usize::try_from(STREAM_EVENTS)?)).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(finished) = writers.join_next().await {
        finished??;
    }
    Ok(())
}

async fn spread<P: Peer>(peer: &Arc<P>, events: u64) -> Result<(), Failure> {
    let mut source = EventSource::new(0)?;
    for first in (0..events).step_by(usize::try_from(SPREAD_EVENTS)?) {
        let numbers = first..(first + SPREAD_EVENTS).min(events);
        let items = numbers.map(|number| Item {
            // Half of the events are in streams of 10, the others in streams of 100.
            stream: if number % 2 == 0 { stream(10, number / 2, events) } else { stream(100, number / 2, events) },
            version: number / 2 / if number % 2 == 0 { events / 20 } else { events / 200 },
            tags: vec![tag(10, number, events), tag(100, number, events)],
            event: source.event(),
        });
        peer.append(Batch { items: items.collect(), by_stream: true, once: Once::No }).await?;
    }
    Ok(())
}

fn tag(matches: u64, number: u64, events: u64) -> String {
    format!("tag{matches}:{}", number % (events / matches))
}

fn stream(len: u64, number: u64, events: u64) -> String {
    format!("stream{len}-{}", number % (events / 2 / len))
}

/// What is read of a spread log: everything with one tag, or one stream; 10 events, or 100.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// Everything with a tag that so many events have.
    Tag(u64),
    /// A stream of so many events.
    Stream(u64),
}

impl What {
    /// Reads a random one of them, and checks that all of it came.
    pub(crate) async fn read<P: Peer>(self, peer: &P, events: u64, random: &mut Random) -> Result<(), Failure> {
        let (name, wanted, seen): (String, u64, Seen) = match self {
            Self::Tag(matches) => {
                let name = tag(matches, random.below(events), events);
                let seen = peer.read_tag(&name).await?;
                (name, matches, seen)
            }
            Self::Stream(len) => {
                let name = stream(len, random.below(events), events);
                let seen = peer.read_stream(&name).await?;
                (name, len, seen)
            }
        };
        if seen.events == wanted {
            Ok(())
        } else {
            Err(format!("{name} has {wanted} events, {} were read", seen.events).into())
        }
    }
}
