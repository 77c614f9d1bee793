//! `annalist bench`: how many appends a disk or a server takes.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use annalist_core::{Append, EventId, EventStore, EventType, Expected, NewEvent, StreamId};
use annalist_store::Store;
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::{Opened, Place},
};

/// The category of the streams that are written.
const CATEGORY: &str = "annalist_bench";

/// The longest latency that is told apart: a minute.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// Measures appends: of a server, or of the disk of a folder, in a new store that is removed afterwards
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// How many write at the same time, each its own stream.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    writers: u32,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Events of one append.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events: u32,
    /// Bytes of each payload.
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Events of a server stay: say that you want them there, in the category `annalist_bench`.
    #[arg(long)]
    record: bool,
}

/// What a writer met.
struct Written {
    appends: u64,
    /// From call to answer, in microseconds.
    micros: Histogram<u64>,
}

impl Written {
    fn nothing() -> Result<Self, Failure> {
        let micros =
            Histogram::new_with_max(LATENCY_MICROS_MAX, 3).map_err(|error| Failure::Other(error.to_string()))?;
        Ok(Self { appends: 0, micros })
    }
}

/// A folder that goes when this does.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) async fn run(arguments: Arguments, output: &mut Output) -> Result<Done, Failure> {
    let (store, scratch) = open(&arguments).await?;
    let store = Arc::new(store);
    let began = Instant::now();
    let ends = began + Duration::from_secs(arguments.seconds);
    let mut writers = JoinSet::new();
    for number in 0..arguments.writers {
        let stream = StreamId::of(CATEGORY, format!("{}-{number}", EventId::generate()))?;
        writers.spawn(write(Arc::clone(&store), stream, arguments.events, vec![b'x'; arguments.bytes], ends));
    }
    let mut total = Written::nothing()?;
    while let Some(written) = writers.join_next().await {
        let written = written.map_err(|error| Failure::Other(format!("a writer broke off: {error}")))??;
        total.appends += written.appends;
        total.micros.add(written.micros).map_err(|error| Failure::Other(error.to_string()))?;
    }
    let took = began.elapsed();
    let store = Arc::into_inner(store).ok_or_else(|| Failure::Other("a writer has not ended".to_owned()))?;
    store.close().await?;
    drop(scratch);
    print(&arguments, &total, took, output)
}

async fn open(arguments: &Arguments) -> Result<(Opened, Option<Scratch>), Failure> {
    let Some(dir) = arguments.place.folder() else {
        if !arguments.record {
            let why = "the events stay in the server's store for good: add --record if that is what you want";
            return Err(Failure::Usage(why.to_owned()));
        }
        return Ok((arguments.place.open().await?, None));
    };
    if !dir.is_dir() {
        return Err(Failure::Usage(format!("{} is no folder: name one on the disk to be measured", dir.display())));
    }
    let scratch = Scratch(dir.join(format!("{CATEGORY}-{}", std::process::id())));
    let path = scratch.0.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(path)).await;
    let store = opened.map_err(|error| Failure::Other(format!("opening the store broke off: {error}")))??;
    Ok((Opened::Folder(store), Some(scratch)))
}

async fn write(
    store: Arc<Opened>,
    stream: StreamId,
    count: u32,
    payload: Vec<u8>,
    ends: Instant,
) -> Result<Written, Failure> {
    let (mut written, event_type) = (Written::nothing()?, EventType::new("measured")?);
    let store: &dyn EventStore = &**store;
    loop {
        let asked = Instant::now();
        if asked >= ends {
            return Ok(written);
        }
        let events = (0..count).map(|_| NewEvent::new(EventId::generate(), event_type.clone(), payload.clone()));
        store.append(Append::new().events(stream.clone(), Expected::Any, events)).await?;
        written.appends += 1;
        let micros = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        written.micros.saturating_record(micros);
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates are rounded anyway")]
fn print(arguments: &Arguments, total: &Written, took: Duration, output: &mut Output) -> Result<Done, Failure> {
    let Written { appends, micros } = total;
    let per_second = |count: u64| (count as f64 / took.as_secs_f64()).round();
    let events = appends * u64::from(arguments.events);
    let [p50, p99, max] = [micros.value_at_quantile(0.5), micros.value_at_quantile(0.99), micros.max()];
    if output.json {
        output.value(&json!({
            "writers": arguments.writers,
            "seconds": took.as_secs_f64(),
            "appends": appends,
            "appends_per_second": per_second(*appends),
            "events_per_second": per_second(events),
            "p50_us": p50,
            "p99_us": p99,
            "max_us": max,
        }))?;
    } else {
        let payload = events * arguments.bytes as u64;
        output.table(
            ["what", "value"],
            [
                ["appends per second".to_owned(), per_second(*appends).to_string()],
                ["events per second".to_owned(), per_second(events).to_string()],
                ["megabytes of payload per second".to_owned(), format!("{:.1}", per_second(payload) / 1e6)],
                ["half of the appends within, us".to_owned(), p50.to_string()],
                ["99 of 100 within, us".to_owned(), p99.to_string()],
                ["the slowest, us".to_owned(), max.to_string()],
            ],
        )?;
    }
    Ok(Done::Well)
}
