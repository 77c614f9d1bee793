//! A server under many clients for a long time, audited at the end: `make soak`.

use std::{io::Write as _, path::PathBuf, time::Duration};

use clap::Parser;
use tests::{
    soak::{Growth, Options, costs, run},
    subjects::on_a_disk,
};

/// Five hundred clients on one server for half an hour, which is killed in the first half of it; then an audit.
#[derive(Parser)]
struct Arguments {
    /// How long events are appended, in seconds.
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// How many clients there are, each with a connection of its own.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(20..=1000))]
    connections: u16,
    /// About how many events are appended in a second.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How often the server is killed in the first half, in seconds.
    #[arg(long, default_value_t = 30)]
    kill_every: u64,
    /// Where the store is made; a temporary folder if nothing is said.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Measure what a client costs the server in memory, by what it does, and nothing else.
    #[arg(long)]
    costs: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { seconds, connections, rate, kill_every, data, costs: costs_only } = Arguments::parse();
    let temporary = on_a_disk();
    let options = Options {
        program: std::env::current_exe()?.with_file_name("store_server"),
        data: data.unwrap_or_else(|| temporary.path().to_owned()).join("store"),
        duration: Duration::from_secs(seconds),
        connections: connections.into(),
        events_per_second: rate,
        kill_every: Duration::from_secs(kill_every),
        sample_every: Duration::from_secs((seconds / 120).max(1)),
    };
    let say = |line: &str| _ = writeln!(std::io::stdout(), "{line}");
    if costs_only {
        return Ok(costs(&options, say).await?);
    }
    let report = run(&options, say).await?;
    let (events, repeated, kills, ends) = (report.events, report.repeated, report.kills, report.ends);
    say(&format!(
        "{events} events, none lost, all seen in order; {kills} kills, {ends} ends, {repeated} appends repeated"
    ));
    match Growth::of(&report.memory) {
        Some(growth) if growth.is_flat() => say(&format!("memory of the server while it was left alone, {growth}")),
        Some(growth) => return Err(format!("memory of the server while it was left alone, {growth}").into()),
        None => say("it was too short to say whether the memory of the server is flat"),
    }
    Ok(())
}
