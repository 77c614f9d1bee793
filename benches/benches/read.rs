//! `read`: streams read from a warm store, the whole log replayed, and a view rebuilt from it.

use std::{
    convert::identity,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use annalist::projection::ProjectionSet;
use annalist_core::{EventStore, Position, Read};
use annalist_store::KeyValue;
use benches::{
    EVENTS, EventSource, Failure, Settings, Spending, Streams, Subject, Table, count, describe_machine, fill, millis,
    read_streams, runtime, touch,
};
use tokio::runtime::Runtime;

const STREAMS: [Streams; 4] = [
    Streams { events: 10, spread: false },
    Streams { events: 10, spread: true },
    Streams { events: 100, spread: false },
    Streams { events: 100, spread: true },
];

const READERS: [u64; 2] = [1, 16];

/// Events written behind the streams, so that these lie in the index as old ones do, and not in memory as the newest.
const EVENTS_BEHIND: u64 = 200_000;

/// The log is replayed more than once: the first time the store's own cache is empty.
const REPLAYS: usize = 3;

#[expect(clippy::print_stdout, reason = "a bench talks to a person")]
fn main() -> Result<(), Failure> {
    let settings = Settings::from_env()?;
    let runtime = runtime()?;
    println!("\nmachine: {}", describe_machine(settings.folder("read")?.path()));
    println!("options: {}{}", settings.options, if settings.memory { " (in memory)" } else { "" });

    if settings.wants("read_stream") {
        println!();
        streams(&settings, &runtime)?;
    }
    if settings.wants("replay") {
        println!();
        replay(&settings, &runtime)?;
    }
    if settings.wants("rebuild") {
        println!();
        rebuild(&settings, &runtime)?;
    }
    Ok(())
}

/// Random streams, read whole, by one reader and by many.
fn streams(settings: &Settings, runtime: &Runtime) -> Result<(), Failure> {
    let folder = settings.folder("streams")?;
    let mut subject = Subject::open(settings, folder.path())?;
    runtime.block_on(async {
        let store = subject.port();
        for streams in STREAMS {
            streams.write(&store).await?;
        }
        fill(&store, EVENTS_BEHIND, identity).await
    })?;
    subject = runtime.block_on(subject.reopen(settings, folder.path()))?;

    let store = subject.port();
    let table = Table::new(&["read_stream", "readers", "reads/s", "events/s", "p50 ms", "p99 ms", "p99.9 ms"]);
    for streams in STREAMS {
        runtime.block_on(streams.warm(&store))?;
        for readers in READERS {
            let latency_us = runtime.block_on(read_streams(&store, streams, readers, settings.duration))?;
            let at = |quantile| millis(latency_us.value_at_quantile(quantile));
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let (reads, events) = (latency_us.len() as f64 / settings.duration.as_secs_f64(), streams.events as f64);
            table.row(&[
                streams.to_string(),
                readers.to_string(),
                count(reads),
                count(reads * events),
                at(0.5),
                at(0.99),
                at(0.999),
            ]);
        }
    }
    drop(store);
    runtime.block_on(subject.close())
}

/// The whole log, oldest first, each event decoded.
fn replay(settings: &Settings, runtime: &Runtime) -> Result<(), Failure> {
    let folder = settings.folder("replay")?;
    let mut subject = Subject::open(settings, folder.path())?;
    runtime.block_on(fill(&subject.port(), settings.events, identity))?;
    subject = runtime.block_on(subject.reopen(settings, folder.path()))?;

    let table = Table::new(&["replay", "events", "seconds", "events/s", "payload MB/s"]);
    for pass in 1..=REPLAYS {
        let begin = Instant::now();
        let (events, bytes) = runtime.block_on(replay_once(subject.port()))?;
        let seconds = begin.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (events, bytes) = (events as f64, bytes as f64);
        let cells = [format!("pass {pass}"), count(events), count(seconds), count(events / seconds)];
        table.row(&[cells.as_slice(), &[count(bytes / 1e6 / seconds)]].concat());
    }
    runtime.block_on(subject.close())
}

/// Counts events and bytes of payload; in a task, as a service reads.
async fn replay_once(store: Arc<dyn EventStore>) -> Result<(u64, usize), Failure> {
    let replayed = tokio::spawn(async move {
        let mut batches = store.read(Read::all(Position::ZERO)).await?;
        let (mut last, mut bytes, mut sum) = (Position::ZERO, 0, 0_u64);
        loop {
            let events = batches.next().await?;
            if events.is_empty() {
                break;
            }
            for event in &events {
                if event.position != last.next() {
                    return Err(format!("position {} follows {last}", event.position).into());
                }
                last = event.position;
                bytes += event.payload().len();
                sum = sum.wrapping_add(touch(event));
            }
        }
        black_box(sum);
        let head = store.head().await?.position;
        if head == last {
            Ok((last.get(), bytes))
        } else {
            Err(format!("the head is {head}, the last event {last}").into())
        }
    });
    replayed.await?
}

/// A view filled for the first time, as when a service starts with a new one; then rebuilt beside the live one.
fn rebuild(settings: &Settings, runtime: &Runtime) -> Result<(), Failure> {
    let (folder, views) = (settings.folder("rebuild")?, settings.folder("views")?);
    let mut subject = Subject::open(settings, folder.path())?;
    runtime.block_on(fill(&subject.port(), settings.events, EventSource::json))?;
    subject = runtime.block_on(subject.reopen(settings, folder.path()))?;
    let rows = KeyValue::open(views.path())?;

    let table = Table::new(&["rebuild", "events", "seconds", "events/s"]);
    let row = |name: &str, events: u64, duration: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (events, seconds) = (events as f64, duration.as_secs_f64());
        table.row(&[name.to_owned(), count(events), count(seconds), count(events / seconds)]);
    };
    runtime.block_on(async {
        let store = subject.port();
        let head = store.head().await?;
        let mut projections = ProjectionSet::new(store, Arc::new(rows.clone()), Arc::new(annalist::SystemEnv));
        projections.register(Spending);
        let begin = Instant::now();
        let projections = projections.start().await?;
        projections.all_reached(head, Duration::from_hours(1)).await?;
        row("first time", head.position.get(), begin.elapsed());
        let rebuilt = projections.rebuild::<Spending>().await?;
        row("beside the live one", rebuilt.events, rebuilt.duration);

        let by_type = projections.view::<Spending>()?.scan(&EVENTS).await?;
        projections.shutdown().await;
        let seen: u64 = by_type.iter().map(|(_, count)| count).sum();
        let all = head.position.get();
        if seen == all { Ok::<_, Failure>(()) } else { Err(format!("the view counts {seen} events of {all}").into()) }
    })?;
    rows.close()?;
    runtime.block_on(subject.close())
}
