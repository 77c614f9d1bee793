//! `read`: streams read from a warm store, the whole log replayed, and a view rebuilt from it.

use std::{
    convert::identity,
    hint::black_box,
    str::FromStr as _,
    sync::Arc,
    time::{Duration, Instant},
};

use annalist::projection::{MemoryKeyValue, Projection, ProjectionSet, Projections};
use annalist_core::{EventStore, Position, Read};
use annalist_sql::{
    Postgres, Sqlite,
    sqlx::{self, AssertSqlSafe, ConnectOptions as _, postgres::PgConnectOptions},
};
use annalist_store::KeyValue;
use benches::{
    EVENTS, EventSource, Failure, ORDERS_COUNTED, ORDERS_TABLES, OrdersInPostgres, SPENDING_COUNTED, SPENDING_TABLES,
    Settings, Spending, SpendingInPostgres, SpendingInSqlite, Streams, Subject, Table, count, describe_machine, fill,
    millis, read_streams, runtime, touch,
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

/// Rows in SQL take longer: one event of so many is replayed into them.
const SQL_SHARE: u64 = 10;

/// A view that takes a statement for each event takes longer still: one event of so many of those.
const SINGLY_SHARE: u64 = 10;

/// How many transactions write such a view at the same time.
const PARTS: u16 = 4;

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

/// Views filled for the first time, as when a service starts with a new one; then rebuilt beside the live one.
fn rebuild(settings: &Settings, runtime: &Runtime) -> Result<(), Failure> {
    let table = Table::new(&["rebuild", "events", "seconds", "events/s"]);
    let embedded = settings.folder("views")?;
    with_log(settings, runtime, settings.events, async |store| {
        let rows = KeyValue::open(embedded.path())?;
        let mut set = ProjectionSet::new(Arc::clone(&store), Arc::new(rows.clone()), Arc::new(annalist::SystemEnv));
        set.register(Spending);
        let projections = fill_and_rebuild::<Spending>(set, &table, "", &store).await?;
        let by_type = projections.view::<Spending>()?.scan(&EVENTS).await?;
        projections.shutdown().await;
        rows.close()?;
        Ok(by_type.iter().map(|(_, count)| count).sum())
    })?;
    with_log(settings, runtime, settings.events / SQL_SHARE, async |store| {
        let folder = settings.folder("sqlite")?;
        let model = Sqlite::open::<SpendingInSqlite>(folder.path(), SPENDING_TABLES).await?;
        let mut set = in_memory(&store);
        set.register_with(SpendingInSqlite, model.clone());
        let projections = fill_and_rebuild::<SpendingInSqlite>(set, &table, "SQLite, ", &store).await?;
        let mut view = model.read().await?;
        let counted: i64 = sqlx::query_scalar(SPENDING_COUNTED).fetch_one(view.connection()).await?;
        projections.shutdown().await;
        Ok(counted.try_into()?)
    })?;
    let Some(url) = &settings.postgres else {
        #[expect(clippy::print_stdout, reason = "a bench talks to a person")]
        {
            println!("\nrebuild into PostgreSQL is left out: ANNALIST_BENCH_POSTGRES is not set");
        }
        return Ok(());
    };
    let all = settings.events / SQL_SHARE;
    with_log(settings, runtime, all, async |store| {
        in_postgres(url, SpendingInPostgres, SPENDING_TABLES, SPENDING_COUNTED, &table, "PostgreSQL, ", &store).await
    })?;
    let few = all / SINGLY_SHARE;
    with_log(settings, runtime, few, async |store| {
        in_postgres(url, OrdersInPostgres::<1>, ORDERS_TABLES, ORDERS_COUNTED, &table, "singly, ", &store).await
    })?;
    with_log(settings, runtime, few, async |store| {
        let parts = "in 4 parts, ";
        in_postgres(url, OrdersInPostgres::<PARTS>, ORDERS_TABLES, ORDERS_COUNTED, &table, parts, &store).await
    })
}

/// Two rows of a view in a PostgreSQL database of its own; tells how many events the view has counted.
async fn in_postgres<P: Projection<Model = Postgres>>(
    url: &str,
    projection: P,
    tables: &'static str,
    counted: &'static str,
    table: &Table,
    into: &str,
    store: &Arc<dyn EventStore>,
) -> Result<u64, Failure> {
    let (options, name) = (PgConnectOptions::from_str(url)?, format!("annalist_bench_{}", std::process::id()));
    let mut server = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await?;
    let model = Postgres::with::<P>(options.database(&name), tables);
    model.connect().await?;
    let mut set = in_memory(store);
    set.register_with(projection, model.clone());
    let projections = fill_and_rebuild::<P>(set, table, into, store).await?;
    let mut view = model.read().await?;
    let counted: i64 = sqlx::query_scalar(counted).fetch_one(view.connection()).await?;
    projections.shutdown().await;
    sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut server).await?;
    Ok(counted.try_into()?)
}

fn in_memory(store: &Arc<dyn EventStore>) -> ProjectionSet {
    ProjectionSet::new(Arc::clone(store), Arc::new(MemoryKeyValue::new()), Arc::new(annalist::SystemEnv))
}

/// Has a log of JSON events replayed, and fails if not every one was counted.
fn with_log(
    settings: &Settings,
    runtime: &Runtime,
    events: u64,
    replayed: impl AsyncFnOnce(Arc<dyn EventStore>) -> Result<u64, Failure>,
) -> Result<(), Failure> {
    let folder = settings.folder("rebuild")?;
    let mut subject = Subject::open(settings, folder.path())?;
    runtime.block_on(fill(&subject.port(), events, EventSource::json))?;
    subject = runtime.block_on(subject.reopen(settings, folder.path()))?;
    let seen = runtime.block_on(replayed(subject.port()))?;
    let all = runtime.block_on(subject.port().head())?.position.get();
    runtime.block_on(subject.close())?;
    if seen == all { Ok(()) } else { Err(format!("the view counts {seen} events of {all}").into()) }
}

/// Two rows of the table.
async fn fill_and_rebuild<P: Projection>(
    set: ProjectionSet,
    table: &Table,
    into: &str,
    store: &Arc<dyn EventStore>,
) -> Result<Projections, Failure> {
    // The column is as wide as it is.
    let beside = if into.is_empty() { "beside the live one" } else { "beside live" };
    let row = |what: &str, events: u64, duration: Duration| {
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (events, seconds) = (events as f64, duration.as_secs_f64());
        table.row(&[format!("{into}{what}"), count(events), count(seconds), count(events / seconds)]);
    };
    let (head, begin) = (store.head().await?, Instant::now());
    let projections = set.start().await?;
    projections.reached::<P>(head, Duration::from_hours(1)).await?;
    row("first time", head.position.get(), begin.elapsed());
    let rebuilt = projections.rebuild::<P>().await?;
    row(beside, rebuilt.events, rebuilt.duration);
    Ok(projections)
}
