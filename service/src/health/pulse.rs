//! Whether the runtime still makes progress.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::limits::{HEARTBEAT, HEARTBEAT_AGE_MAX};

/// A heart that a task keeps beating.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    begun: Instant,
    /// When it last beat, in milliseconds since it began.
    last: Arc<AtomicU64>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), last: Arc::default() }
    }

    /// Beats for ever.
    pub(crate) async fn beat(self) {
        let mut ticks = interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.last.store(self.age(), Ordering::Relaxed);
        }
    }

    /// Whether it has beaten lately.
    pub(super) fn is_there(&self) -> bool {
        let silent = self.age().saturating_sub(self.last.load(Ordering::Relaxed));
        u128::from(silent) <= HEARTBEAT_AGE_MAX.as_millis()
    }

    fn age(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
