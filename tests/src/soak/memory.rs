//! The memory of a process over time.

use std::{fmt, fs, time::Duration};

/// The memory of the server at a moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Since the beginning.
    pub at: Duration,
    /// Which process it was: another number after each start.
    pub process: u32,
    /// How many events were acknowledged.
    pub events: u64,
    /// What it has in memory, in KiB.
    pub resident_kib: u64,
    /// What of it is its own, not of files, in KiB.
    pub own_kib: u64,
}

impl Sample {
    pub(super) fn of(process: u32, at: Duration, events: u64) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Self { at, process, events, resident_kib: kib("VmRSS:"), own_kib: kib("RssAnon:") }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, process, events, resident_kib, own_kib } = self;
        let (resident, own) = (resident_kib / 1024, own_kib / 1024);
        write!(
            f,
            "{:>6} s, process {process}: {events:>9} events, {resident:>4} MiB, {own:>4} of them its own",
            at.as_secs()
        )
    }
}

/// How long a process must have been left alone to be judged: what is sent ahead of slow followers takes minutes to fill up.
const LONG_ENOUGH: Duration = Duration::from_mins(14);

/// How the own memory of the process that ran last grew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Growth {
    /// The median of the second quarter of its time, in KiB: caches are warm by then.
    pub before_kib: u64,
    /// The median of the last quarter, in KiB.
    pub after_kib: u64,
}

impl Growth {
    /// Of these samples; `None` if their time is too short to say.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let last = samples.last()?;
        let alone: Vec<&Sample> = samples.iter().filter(|sample| sample.process == last.process).collect();
        if last.at.saturating_sub(alone.first()?.at) < LONG_ENOUGH {
            return None;
        }
        let own: Vec<u64> = alone.iter().map(|sample| sample.own_kib).collect();
        let quarter = own.len() / 4;
        let (before, after) = (own.get(quarter..2 * quarter)?, own.get(own.len() - quarter..)?);
        Some(Self { before_kib: median(before), after_kib: median(after) })
    }

    /// Whether it does not grow: by no more than a tenth and 8 MiB, which is what allocators do.
    #[must_use]
    pub const fn is_flat(self) -> bool {
        self.after_kib <= self.before_kib + self.before_kib / 10 + 8 * 1024
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.is_flat() { "flat" } else { "growing" };
        write!(f, "{said}: {} MiB, then {} MiB of its own", self.before_kib / 1024, self.after_kib / 1024)
    }
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
