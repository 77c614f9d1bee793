//! Timers: fires what is due, once, also what fell due while the service was down.

use std::{sync::Arc, time::Duration};

use annalist_core::Cursor;
use tokio::time::sleep;
use tracing::Instrument;

use super::{
    halt::{Halt, chain},
    limits::{BATCH_MAX, SLEEP_MAX, STALE_PAUSE},
    model::Saga,
    rows::TIMERS,
    taker::{Incoming, Taker, stopped},
};
use crate::projection::{ViewError, ViewHandle};

/// See the module.
pub(super) struct TimerTask<S: Saga> {
    pub(super) taker: Arc<Taker<S>>,
    pub(super) rows: ViewHandle,
}

impl<S: Saga> TimerTask<S> {
    pub(super) async fn run(self) {
        let mut stop = self.taker.stop.clone();
        let mut failures = 0;
        loop {
            let ended = tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                ended = self.work(&mut failures) => ended,
            };
            let why = match ended {
                Ok(never) => match never {},
                Err(Ended::Rows(error)) => chain(&error),
                Err(Ended::Halt(Halt::Failed(why))) => why,
                Err(Ended::Halt(Halt::Stopped)) => return,
            };
            failures += 1;
            self.taker.failed(format!("timers: {why}"));
            if self.taker.pause(failures, &why).await.is_err() {
                return;
            }
        }
    }

    /// Fires timers for ever.
    async fn work(&self, failures: &mut u32) -> Result<std::convert::Infallible, Ended> {
        let mut fired = None;
        loop {
            let seen = latest(self.taker.timers.seen(), fired);
            let rows = seen.map_or_else(|| self.rows.clone(), |seen| self.rows.after(seen));
            let first = rows.scan(&TIMERS).limit(BATCH_MAX).await.map_err(Ended::Rows)?;
            *failures = 0;
            let now = self.taker.env.now();
            let (mut any, mut next) = (false, SLEEP_MAX);
            let before = fired;
            for ((due, id), key) in first {
                if due > now {
                    let left = due.as_micros().saturating_sub(now.as_micros());
                    next = next.min(Duration::from_micros(u64::try_from(left).unwrap_or(u64::MAX)));
                    break;
                }
                any = true;
                self.taker.woken.room().await;
                let span =
                    tracing::info_span!(parent: None, "annalist.saga", saga = S::NAME, instance = key, timer = %id);
                let taken = self.taker.take(&key, &Incoming::Timer { id }).instrument(span).await;
                fired = latest(fired, taken.map_err(Ended::Halt)?.cursor());
            }
            if any {
                if fired != before {
                    continue;
                }
                // The rows are behind what is recorded.
                next = STALE_PAUSE;
            }
            tokio::select! {
                biased;
                () = sleep(next) => {}
                () = self.taker.timers.set.notified() => {}
            }
        }
    }
}

enum Ended {
    Rows(ViewError),
    Halt(Halt),
}

fn latest(a: Option<Cursor>, b: Option<Cursor>) -> Option<Cursor> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.position < b.position { b } else { a }),
        (a, b) => a.or(b),
    }
}
