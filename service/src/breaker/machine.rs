//! The states of a breaker and what moves it from one to the next: a function of what it is told, the time included.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{
    policy::{BreakerPolicy, RatePolicy, Trip},
    window::{Counts, Tally},
};

/// What a breaker is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls go through, to find out whether it can close.
    HalfOpen,
    /// Somebody has opened it: calls are refused until that is taken back.
    ForcedOpen,
    /// Somebody has closed it: calls go through whatever becomes of them, until that is taken back.
    ForcedClosed,
}

impl BreakerState {
    /// All of them, in the order of their numbers in metrics.
    pub const ALL: [Self; 5] = [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::ForcedClosed];

    /// A short name, for metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced-open",
            Self::ForcedClosed => "forced-closed",
        }
    }
}

/// How a call ended, as far as a breaker is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The dependency did what it should, a "no" included.
    Success,
    /// The dependency failed.
    Failure,
    /// It says nothing about the dependency.
    Ignored,
}

/// A call that was let through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Admitted {
    /// How often the breaker had changed then: what is told of a time before is not counted.
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed(Memory),
    Open { until: Instant },
    HalfOpen { under_way: u32, succeeded: u32 },
    Forced(BreakerState),
}

#[derive(Debug)]
enum Memory {
    Failures(u32),
    Tally(Tally),
}

#[derive(Debug)]
pub(super) struct Machine {
    policy: BreakerPolicy,
    state: State,
    generation: u64,
}

impl Machine {
    pub(super) fn new(policy: BreakerPolicy, now: Instant) -> Self {
        Self { policy, state: closed(&policy, now), generation: 0 }
    }

    pub(super) const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::Forced(forced) => forced,
        }
    }

    /// Lets a call through, or says after how long it is worth another try.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admitted, Duration> {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.enter(State::HalfOpen { under_way: 0, succeeded: 0 });
        }
        match &mut self.state {
            State::Closed(_) | State::Forced(BreakerState::ForcedClosed) => {}
            State::Open { until } => return Err(*until - now),
            State::Forced(_) => return Err(self.policy.open_for),
            State::HalfOpen { under_way, succeeded } => {
                // No more than are needed, at any time.
                if *under_way + *succeeded >= self.policy.probes {
                    return Err(self.policy.open_for);
                }
                *under_way += 1;
            }
        }
        Ok(Admitted { generation: self.generation })
    }

    /// Takes in how a call ended that was let through.
    pub(super) fn record(&mut self, now: Instant, Admitted { generation }: Admitted, outcome: Outcome, took: Duration) {
        if generation != self.generation {
            return;
        }
        let slow = outcome != Outcome::Ignored && self.policy.slow_after().is_some_and(|after| took >= after);
        match &mut self.state {
            State::Closed(_) if outcome == Outcome::Ignored => {}
            State::Closed(memory) => {
                let failed = outcome == Outcome::Failure;
                if trips(&self.policy.trip, memory, now, failed, slow) {
                    self.open(now);
                }
            }
            State::HalfOpen { under_way, succeeded } => {
                *under_way = under_way.saturating_sub(1);
                match outcome {
                    Outcome::Ignored => {}
                    Outcome::Success if !slow => {
                        *succeeded += 1;
                        if *succeeded >= self.policy.probes {
                            self.close(now);
                        }
                    }
                    Outcome::Success | Outcome::Failure => self.open(now),
                }
            }
            State::Open { .. } | State::Forced(_) => {}
        }
    }

    /// Opens or closes it until that is taken back.
    pub(super) fn force(&mut self, open: bool) {
        self.enter(State::Forced(if open { BreakerState::ForcedOpen } else { BreakerState::ForcedClosed }));
    }

    /// Takes a forced state back: it begins closed.
    pub(super) fn release(&mut self, now: Instant) {
        if matches!(self.state, State::Forced(_)) {
            self.close(now);
        }
    }

    fn open(&mut self, now: Instant) {
        self.enter(State::Open { until: now + self.policy.open_for });
    }

    fn close(&mut self, now: Instant) {
        self.enter(closed(&self.policy, now));
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

fn closed(policy: &BreakerPolicy, now: Instant) -> State {
    State::Closed(match policy.trip {
        Trip::Consecutive(_) => Memory::Failures(0),
        Trip::Rate(RatePolicy { window, .. }) => Memory::Tally(Tally::new(window, now)),
    })
}

/// Takes a call in, and says whether it is the one that opens the breaker.
fn trips(trip: &Trip, memory: &mut Memory, now: Instant, failed: bool, slow: bool) -> bool {
    match (trip, memory) {
        (Trip::Consecutive(max), Memory::Failures(failures)) => {
            *failures = if failed { failures.saturating_add(1) } else { 0 };
            *failures >= *max
        }
        (Trip::Rate(rate), Memory::Tally(tally)) => {
            let one = Counts { calls: 1, failed: u32::from(failed), slow: u32::from(slow) };
            let Counts { calls, failed, slow } = tally.add(now, one);
            let reached = |count: u32, rate: f64| count > 0 && f64::from(count) >= rate * f64::from(calls);
            calls >= rate.calls_min
                && (reached(failed, rate.failure_rate) || rate.slow.is_some_and(|policy| reached(slow, policy.rate)))
        }
        // The memory is made for the trip.
        (Trip::Consecutive(_), Memory::Tally(_)) | (Trip::Rate(_), Memory::Failures(_)) => false,
    }
}
