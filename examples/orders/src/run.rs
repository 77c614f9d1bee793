//! What the program does, from opening the shop to closing it.

use std::{
    error::Error,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use annalist::{Store, projection::Projection};
use tokio::{sync::watch, task::spawn_blocking};

use crate::{
    figures::Figures,
    fleet,
    fulfilment::{self, Fulfilled},
    import::{Imported, import},
    progress::Progress,
    read_models::{Customers, OpenOrders, Sales},
    report::{Run, Summary, dollars, grouped, per_second, tables},
    rows::{FileError, Row, Rows},
    shop::{Nats, STREAM, Shop},
};

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything is done.
    Done,
    /// Everything is done but for rows that are no orders.
    BadRows,
    /// Everything is done but for events that the broker did not take.
    EventsWait,
    /// It was told to stop.
    Interrupted,
}

type Outcome = Result<Ended, Box<dyn Error>>;

/// Imports a file, `in_flight` rows at a time; waits for read models and broker; reports.
///
/// # Errors
/// Whatever stands in the way; running it again goes on from there.
pub async fn import_file(
    dir: &Path,
    file: Option<PathBuf>,
    in_flight: NonZeroUsize,
    nats: Nats,
    stop: watch::Receiver<bool>,
) -> Outcome {
    let begun = Instant::now();
    let open = move || Ok::<_, FileError>((Rows::open(file.as_deref())?.left()?, Rows::open(file.as_deref())?));
    let (total, rows) = spawn_blocking(open).await??;
    let shop = Shop::open(dir, nats).await?;
    let mut progress = Progress::begin("rows", 0, total);
    progress.say(&format!("importing {} rows, {in_flight} at a time", grouped(total)));
    let imported = import(&shop.app, rows, in_flight, &mut progress, stopped(stop.clone())).await;
    progress.end();
    let outcome = match imported {
        Ok(imported) => conclude(dir, &shop, &imported, begun, stop).await,
        Err(error) => Err(error.into()),
    };
    shop.close().await?;
    outcome
}

async fn conclude(
    dir: &Path,
    shop: &Shop,
    imported: &Imported,
    begun: Instant,
    stop: watch::Receiver<bool>,
) -> Outcome {
    let import_time = begun.elapsed();
    let head = shop.app.head().await?;
    let figures = shop.figures(head).await?;
    let waiting = shop.publish_until(head.position, stopped(stop)).await;
    let file = dir.join("summary.json");
    let run = Run {
        events_appended: imported.events,
        events_total: head.position.get(),
        published: shop.published().await.unwrap_or_else(|| Summary::last_published(&file)),
        seconds: begun.elapsed().as_secs_f64(),
    };
    Summary::new(&figures, run).write(&file)?;
    say(&(tables(&figures) + "\n"))?;
    let (rows, events, total) = (grouped(imported.rows), grouped(imported.events), grouped(run.events_total));
    let rates = [imported.rows, imported.events].map(|count| per_second(count, import_time));
    let [rows_rate, events_rate] = rates;
    say(&format!("{rows} rows in {:.1} s, {rows_rate}/s", import_time.as_secs_f64()))?;
    say(&format!("{events} events appended, {events_rate}/s; {total} in the log"))?;
    say(&published_text(shop, run.published, waiting))?;
    say(&format!("{:.1} s in all", run.seconds))?;
    tell_bad_rows(imported)?;
    if imported.stopped {
        writeln!(io::stderr(), "stopped before the end of the file; run it again to go on")?;
    }
    Ok(match (imported.stopped, imported.bad_rows, waiting, &shop.nats_url) {
        (true, ..) => Ended::Interrupted,
        (_, 1.., ..) => Ended::BadRows,
        (_, _, 1.., Some(_)) => Ended::EventsWait,
        _ => Ended::Done,
    })
}

/// Replays all read models from the log and compares what they say.
///
/// # Errors
/// Whatever stands in the way; the read models then are as before.
pub async fn rebuild(dir: &Path, stop: watch::Receiver<bool>) -> Outcome {
    let begun = Instant::now();
    let shop = Shop::open(dir, Nats::Off).await?;
    let rebuilt = tokio::select! {
        biased;
        () = stopped(stop) => Ok(None),
        rebuilt = replay(&shop) => rebuilt.map(Some),
    };
    shop.close().await?;
    let Some((before, after, events_total)) = rebuilt? else {
        say("interrupted; the read models are as before, unless they were just put in place")?;
        return Ok(Ended::Interrupted);
    };
    if before != after {
        return Err(format!("the replay gives other figures\nbefore: {before:?}\nafter:  {after:?}").into());
    }
    let file = dir.join("summary.json");
    let (published, seconds) = (Summary::last_published(&file), begun.elapsed().as_secs_f64());
    Summary::new(&after, Run { events_appended: 0, events_total, published, seconds }).write(&file)?;
    say(&(tables(&after) + "\n"))?;
    say(&format!("rebuilt from {} events in {seconds:.1} s: the same totals as before", grouped(events_total)))?;
    Ok(Ended::Done)
}

async fn replay(shop: &Shop) -> Result<(Figures, Figures, u64), Box<dyn Error>> {
    let head = shop.app.head().await?;
    let before = shop.figures(head).await?;
    for name in [Sales::NAME, Customers::NAME, OpenOrders::NAME] {
        let rebuilt = shop.app.projections().rebuild_by_name(name).with_bar().await?;
        writeln!(io::stderr(), "{name}: {rebuilt}")?;
    }
    Ok((before, shop.figures(head).await?, head.position.get()))
}

/// Shows what the read models say.
///
/// # Errors
/// Whatever stands in the way.
pub async fn report(dir: &Path) -> Outcome {
    let shop = Shop::open(dir, Nats::Off).await?;
    let told = async {
        let head = shop.app.head().await?;
        say(&(tables(&shop.figures(head).await?) + "\n"))?;
        let waiting = shop.publish_until(head.position, std::future::pending()).await;
        say(&format!("{} events in the log; {}", grouped(head.position.get()), waiting_text(waiting)))?;
        Ok(Ended::Done)
    };
    let told = told.await;
    shop.close().await?;
    told
}

/// Carries the first orders of the bundled file through stock, payment and shipment; those that were before are not again.
///
/// # Errors
/// Whatever stands in the way; running it again goes on from there.
pub async fn fulfil(dir: &Path, orders: usize) -> Outcome {
    let begun = Instant::now();
    let rows = bundled(orders).await?;
    let app = fulfilment::wiring(Store::embedded(dir.join("fulfilment"))?).start().await?;
    let fulfilled = fulfilment::fulfil(&app, &rows).await;
    app.shutdown().await?;
    let Fulfilled { fulfilled, compensated, turned_back_at, waiting, books } = fulfilled?;
    let reasons = turned_back_at.iter().map(|(step, count)| format!("{} at `{step}`", grouped(*count)));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    let [count, done, undone] = [orders_of(&rows), fulfilled, compensated].map(grouped);
    say(&format!(
        "{count} orders in {:.1} s: {done} fulfilled, {undone} undone ({reasons})",
        begun.elapsed().as_secs_f64()
    ))?;
    if waiting > 0 {
        say(&format!("{} orders wait for a person", grouped(waiting)))?;
        return Ok(Ended::Done);
    }
    let [kept, back] = [books.charged, books.refunded].map(dollars);
    say(&format!("money: {kept} dollars charged, as much as orders are paid; {back} given back"))?;
    let [shipped, delivered] = [books.shipped, books.delivered].map(grouped);
    say(&format!("stock: {shipped} CDs reserved, in parcels and shipped, of {delivered} that came in"))?;
    Ok(Ended::Done)
}

/// Sends orders of the bundled file through the four services, as processes on this machine.
///
/// # Errors
/// Whatever stands in the way; running it again goes on from there.
pub async fn services(dir: &Path, orders: usize, stop: watch::Receiver<bool>) -> Outcome {
    let rows = bundled(orders).await?;
    let Some(told) = fleet::run_services(dir, &rows, stopped(stop)).await? else {
        say("interrupted; run it again to go on")?;
        return Ok(Ended::Interrupted);
    };
    say(&told)?;
    Ok(Ended::Done)
}

/// Sends orders of the bundled file through the four services while things go wrong at random.
///
/// # Errors
/// Whatever does not come back, or does not hold.
pub async fn chaos(dir: &Path, orders: usize, lasting: Duration, seed: u64) -> Outcome {
    say(&fleet::run_chaos(dir, &bundled(orders).await?, lasting, seed).await?)?;
    Ok(Ended::Done)
}

/// Tells what became of one request in all services.
///
/// # Errors
/// Whatever stands in the way.
pub async fn trace(addresses: &[String], correlation_id: &str) -> Outcome {
    say(&fleet::run_trace(addresses, correlation_id).await?)?;
    Ok(Ended::Done)
}

/// The first orders of the bundled file.
async fn bundled(orders: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let rows = move || {
        let good = Rows::open(None)?.filter_map(|row| row.map(Result::ok).transpose());
        good.take(orders).collect::<Result<Vec<_>, FileError>>()
    };
    Ok(spawn_blocking(rows).await??)
}

fn orders_of(rows: &[Row]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

fn published_text(shop: &Shop, published: u64, waiting: u64) -> String {
    match (&shop.nats_url, waiting) {
        (None, _) => format!("no NATS: {}", waiting_text(waiting)),
        (Some(_), 1..) => format!("{}; {}", waiting_text(waiting), shop.relay_text()),
        (Some(_), 0) => format!("{} messages in the stream {STREAM}, {}", grouped(published), waiting_text(waiting)),
    }
}

fn waiting_text(events: u64) -> String {
    match events {
        0 => "no events wait to be published".to_owned(),
        events => format!("{} events wait to be published", grouped(events)),
    }
}

fn tell_bad_rows(imported: &Imported) -> io::Result<()> {
    let mut err = io::stderr().lock();
    if imported.bad_rows > 0 {
        writeln!(err, "{} bad rows were not imported:", grouped(imported.bad_rows))?;
    }
    for bad in &imported.bad {
        writeln!(err, "  line {}: {}", bad.line, bad.reason)?;
    }
    if imported.bad_rows > imported.bad.len() as u64 {
        writeln!(err, "  and more")?;
    }
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Ready when the program is told to stop.
async fn stopped(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
