//! When a breaker opens, and how it closes again.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::limits::{BREAKER_FAILURES_MAX, BREAKER_OPEN, BREAKER_PROBES, BREAKER_WINDOW_CALLS_MAX};

/// When a breaker opens, how long it stays open, and what it asks before it closes. The default opens after 5 failures in a
/// row and lets 3 probes through after 30 s.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct BreakerPolicy {
    pub(super) trip: Trip,
    pub(super) open_for: Duration,
    pub(super) probes: u32,
}

/// What opens a breaker.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trip {
    /// So many failures in a row.
    Consecutive(u32),
    /// A rate over a window.
    Rate(RatePolicy),
}

/// The rates, over a window, at which a breaker opens.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RatePolicy {
    pub(super) window: Window,
    pub(super) calls_min: u32,
    pub(super) failure_rate: f64,
    pub(super) slow: Option<Slow>,
}

/// What of the past a rate is taken over.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last so many calls, at most 10,000.
    Calls(u32),
    /// The calls of the last so much time, in steps of a tenth of it.
    Time(Duration),
}

/// What counts as slow, and how much of it is too much.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Slow {
    pub(super) after: Duration,
    pub(super) rate: f64,
}

impl BreakerPolicy {
    /// Opens after so many failures in a row; a success begins the count anew.
    #[must_use]
    pub fn consecutive(failures: u32) -> Self {
        Self { trip: Trip::Consecutive(failures.max(1)), open_for: BREAKER_OPEN, probes: BREAKER_PROBES }
    }

    /// Opens at a rate of failures, or of slow calls, over a window.
    #[must_use]
    pub fn rate(rate: RatePolicy) -> Self {
        Self { trip: Trip::Rate(rate), ..Self::default() }
    }

    /// How long it stays open before it lets a probe through. Default 30 s.
    #[must_use]
    pub fn open_for(self, open_for: Duration) -> Self {
        Self { open_for, ..self }
    }

    /// How many calls a half-open breaker lets through at a time. It closes when as many have succeeded, and opens again when
    /// one fails. Default 3.
    #[must_use]
    pub fn probes(self, probes: u32) -> Self {
        Self { probes: probes.max(1), ..self }
    }

    /// Whether it ever opens.
    pub(crate) fn opens(&self) -> bool {
        match self.trip {
            Trip::Consecutive(failures) => failures < u32::MAX,
            Trip::Rate(_) => true,
        }
    }

    /// From which duration on a call is slow; `None` when slowness does not matter.
    pub(super) const fn slow_after(&self) -> Option<Duration> {
        match self.trip {
            Trip::Rate(RatePolicy { slow: Some(slow), .. }) => Some(slow.after),
            Trip::Rate(_) | Trip::Consecutive(_) => None,
        }
    }
}

impl fmt::Display for BreakerPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trip {
            Trip::Consecutive(failures) => write!(f, "opens after {failures} failures in a row")?,
            Trip::Rate(RatePolicy { window, calls_min, failure_rate, slow }) => {
                let percent = failure_rate * 100.0;
                write!(f, "opens when {percent:.0} % of {window}, {calls_min} at least, have failed")?;
                if let Some(Slow { after, rate }) = slow {
                    write!(f, ", or {:.0} % took {after:?}", rate * 100.0)?;
                }
            }
        }
        write!(f, ", for {:?}, then asks by {}", self.open_for, self.probes)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(calls) => write!(f, "the last {calls} calls"),
            Self::Time(time) => write!(f, "the calls of the last {time:?}"),
        }
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self::consecutive(BREAKER_FAILURES_MAX)
    }
}

impl RatePolicy {
    /// Opens when this part of the calls in the window, between 0 and 1, has failed, once there are `calls_min` of them.
    #[must_use]
    pub fn new(window: Window, calls_min: u32, failure_rate: f64) -> Self {
        let window = match window {
            Window::Calls(calls) => Window::Calls(calls.clamp(1, BREAKER_WINDOW_CALLS_MAX)),
            Window::Time(time) => Window::Time(time.max(Duration::from_millis(10))),
        };
        let calls_min = match window {
            // A window that holds fewer calls than are asked for would never open the breaker.
            Window::Calls(calls) => calls_min.clamp(1, calls),
            Window::Time(_) => calls_min.max(1),
        };
        Self { window, calls_min, failure_rate: failure_rate.clamp(0.0, 1.0), slow: None }
    }

    /// Opens also when this part of them took as long as `after` or longer, whatever they answered. In a half-open breaker a
    /// slow call counts as failed.
    #[must_use]
    pub fn slow(self, after: Duration, rate: f64) -> Self {
        Self { slow: Some(Slow { after, rate: rate.clamp(0.0, 1.0) }), ..self }
    }
}
