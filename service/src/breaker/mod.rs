//! Circuit breakers: a dependency that fails is left alone for a while, and asked carefully whether it is back.

mod policy;
mod window;

mod machine;

mod layer;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;

pub use layer::{BreakerLayer, Guarded};
use machine::{Admitted, Machine};
pub use machine::{BreakerState, Outcome};
pub use policy::{BreakerPolicy, RatePolicy, Window};

/// A circuit breaker. Clones share it.
///
/// ```
/// # use annalist_service::{Breaker, BreakerPolicy, BreakerState, Outcome};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = Breaker::new("provider", BreakerPolicy::consecutive(2));
/// for _ in 0..2 {
///     breaker.admit()?.record(Outcome::Failure);
/// }
/// assert_eq!(breaker.state(), BreakerState::Open);
/// assert!(breaker.admit().is_err());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    name: String,
    machine: Mutex<Machine>,
    counters: Counters,
}

/// What a breaker has counted since it was made.
#[derive(Default)]
struct Counters {
    succeeded: AtomicU64,
    failed: AtomicU64,
    ignored: AtomicU64,
    refused: AtomicU64,
    opened: AtomicU64,
}

/// What a breaker has counted since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct BreakerCounts {
    /// Calls that were successes to it.
    pub succeeded: u64,
    /// Calls that were failures to it.
    pub failed: u64,
    /// Calls that said nothing about the dependency.
    pub ignored: u64,
    /// Calls that were not let through.
    pub refused: u64,
    /// How often it opened.
    pub opened: u64,
}

/// The breaker does not let a call through. Nothing was sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the circuit breaker `{name}` is open; try again in {retry_after:?}")]
pub struct BreakerOpen {
    /// Which breaker.
    pub name: String,
    /// After how long it is worth another try.
    pub retry_after: Duration,
}

impl Breaker {
    /// A closed one. `name` is the dependency, for logs.
    #[must_use]
    pub fn new(name: impl Into<String>, policy: BreakerPolicy) -> Self {
        let machine = Mutex::new(Machine::new(policy, Instant::now()));
        Self(Arc::new(Inner { name: name.into(), machine, counters: Counters::default() }))
    }

    /// What it is doing. An open one stays so until a call comes that it lets through as a probe.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.machine().state()
    }

    /// What it has counted.
    #[must_use]
    pub fn counts(&self) -> BreakerCounts {
        let Counters { succeeded, failed, ignored, refused, opened } = &self.0.counters;
        let [succeeded, failed, ignored, refused, opened] =
            [succeeded, failed, ignored, refused, opened].map(|counter| counter.load(Ordering::Relaxed));
        BreakerCounts { succeeded, failed, ignored, refused, opened }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// [`BreakerOpen`] when it does not.
    pub fn admit(&self) -> Result<Permit, BreakerOpen> {
        let now = Instant::now();
        match self.change(|machine| machine.admit(now)) {
            Ok(admitted) => Ok(Permit { breaker: self.clone(), admitted, begun: now, told: false }),
            Err(retry_after) => {
                self.0.counters.refused.fetch_add(1, Ordering::Relaxed);
                Err(BreakerOpen { name: self.0.name.clone(), retry_after })
            }
        }
    }

    /// Opens it until [`Breaker::release`]: for a dependency that must be left alone.
    pub fn force_open(&self) {
        self.change(|machine| machine.force(true));
    }

    /// Closes it until [`Breaker::release`], whatever becomes of the calls.
    pub fn force_closed(&self) {
        self.change(|machine| machine.force(false));
    }

    /// Takes a forced state back: it begins closed, with nothing remembered.
    pub fn release(&self) {
        self.change(|machine| machine.release(Instant::now()));
    }

    /// Does something that may change its state, and says so if it did.
    fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let (before, done, after) = {
            let mut machine = self.machine();
            let before = machine.state();
            let done = change(&mut machine);
            (before, done, machine.state())
        };
        if before != after {
            if after == BreakerState::Open {
                self.0.counters.opened.fetch_add(1, Ordering::Relaxed);
            }
            tracing::warn!(breaker = self.0.name, from = before.name(), to = after.name(), "a circuit breaker changed");
        }
        done
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.0.name).field("state", &self.state()).finish_non_exhaustive()
    }
}

/// A call that was let through. Dropped without an outcome it says nothing about the dependency, and a probe's place is free
/// again.
#[derive(Debug)]
#[must_use = "the breaker waits for what becomes of the call"]
pub struct Permit {
    breaker: Breaker,
    admitted: Admitted,
    begun: Instant,
    told: bool,
}

impl Permit {
    /// Tells how the call ended.
    pub fn record(mut self, outcome: Outcome) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Outcome) {
        self.told = true;
        let Counters { succeeded, failed, ignored, .. } = &self.breaker.0.counters;
        let counter = match outcome {
            Outcome::Success => succeeded,
            Outcome::Failure => failed,
            Outcome::Ignored => ignored,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        self.breaker.change(|machine| machine.record(now, self.admitted, outcome, now - self.begun));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Outcome::Ignored);
        }
    }
}
