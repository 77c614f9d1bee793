//! `append`: events per second and latency, from one writer to a thousand, beside what the disk does by itself.

use std::{sync::Arc, time::Duration};

use benches::{
    Failure, LOADS, Load, PAYLOAD_BYTES, Settings, Subject, Table, count, describe_machine, measure_disk, millis,
    run_load,
};

/// About one small commit, and one page.
const DISK_BYTES: [usize; 2] = [400, 16 * 1024];

#[expect(clippy::print_stdout, reason = "a bench talks to a person")]
fn main() -> Result<(), Failure> {
    let settings = Settings::from_env()?;
    let folder = settings.folder("append")?;
    println!("\nmachine: {}", describe_machine(folder.path()));
    println!("options: {}{}\n", settings.options, if settings.memory { " (in memory)" } else { "" });

    let syncs_per_second = disk(&settings)?;
    println!();
    let table = Table::new(&[
        "append: writers x events",
        "events/s",
        "appends/s",
        "MB/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "events/sync",
    ]);
    for load in LOADS.into_iter().filter(|load| settings.wants(&load.to_string())) {
        append(&settings, load, syncs_per_second, &table)?;
    }
    println!("\nevents/sync: events per second over syncs per second of the disk, 400 B overwritten.");
    Ok(())
}

/// Measures the disk and returns the yardstick: syncs per second when a small block is overwritten.
fn disk(settings: &Settings) -> Result<f64, Failure> {
    let folder = settings.folder("disk")?;
    let duration = (settings.duration / 4).max(Duration::from_millis(500));
    let table = Table::new(&["disk: write + fdatasync", "syncs/s", "p50 ms", "p99 ms", "p99.9 ms"]);
    let mut yardstick = f64::NAN;
    for bytes in DISK_BYTES {
        for (how, overwrite) in [("extending", false), ("overwriting", true)] {
            let figures = measure_disk(folder.path(), bytes, overwrite, duration)?;
            if overwrite && yardstick.is_nan() {
                yardstick = figures.syncs_per_second;
            }
            let at = |quantile| millis(figures.latency_us.value_at_quantile(quantile));
            let name = format!("{bytes} B, {how}");
            table.row(&[name, count(figures.syncs_per_second), at(0.5), at(0.99), at(0.999)]);
        }
    }
    Ok(yardstick)
}

/// One row, in a store of its own.
fn append(settings: &Settings, load: Load, syncs_per_second: f64, table: &Table) -> Result<(), Failure> {
    let folder = settings.folder(&load.to_string())?;
    let runtime = benches::runtime()?;
    let subject = Subject::open(settings, folder.path())?;
    let warm_up = settings.duration / 10;
    let port: Arc<_> = subject.port();
    let figures = runtime.block_on(run_load(&port, load, warm_up, settings.duration))?;
    drop(port);
    runtime.block_on(subject.close())?;

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let megabytes = figures.events_per_second * PAYLOAD_BYTES as f64 / 1e6;
    let at = |quantile| millis(figures.latency_us.value_at_quantile(quantile));
    table.row(&[
        load.to_string(),
        count(figures.events_per_second),
        count(figures.appends_per_second),
        count(megabytes),
        at(0.5),
        at(0.99),
        at(0.999),
        millis(figures.latency_us.max()),
        count(figures.events_per_second / syncs_per_second),
    ]);
    Ok(())
}
