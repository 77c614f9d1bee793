//! Processor time: what the load program and the server spend on an operation. On a machine that others use too it says more than a
//! rate does.

use std::{fs, time::Duration};

use rustix::param::clock_ticks_per_second;
use tokio::time::{Instant, sleep_until};

/// Processor time that two processes had between two moments, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// The load program.
    pub(crate) load: f64,
    /// The process of the store.
    pub(crate) store: f64,
}

/// What this process and that of the store spend from `begin` on, for so long.
pub(crate) async fn spent(store: u32, begin: std::time::Instant, duration: Duration) -> Spent {
    let (own, begin) = (std::process::id(), Instant::from_std(begin));
    sleep_until(begin).await;
    let before = (micros(own), micros(store));
    sleep_until(begin + duration).await;
    Spent { load: micros(own) - before.0, store: micros(store) - before.1 }
}

/// The processor time that a process had so far, in the system as well as in itself.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn micros(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Its name, which stands in brackets, may have anything in it. Behind it utime and stime are the 12th and 13th.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 * 1e6 / clock_ticks_per_second() as f64
}
