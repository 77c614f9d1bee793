//! Time, which passes when somebody looks at it or waits for it; by how much is left to chance. With the signatures of
//! `std::time` and `tokio::time`.

use std::{
    cell::Cell,
    future::Future,
    ops::{Add, Sub},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::happens_once_in;

thread_local! {
    /// Since the beginning of the execution. All of its tasks share one thread of the system.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// An execution begins.
pub(crate) fn restart() {
    PASSED.set(Duration::ZERO);
}

pub(crate) fn pass(duration: Duration) {
    PASSED.set(PASSED.get() + duration);
}

pub(crate) fn pass_until(then: Instant) {
    PASSED.set(PASSED.get().max(then.0));
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        pass(if happens_once_in(8) { Duration::from_millis(1) } else { Duration::from_micros(10) });
        Self(PASSED.get())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now() - self
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

pub(crate) const fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline }
}

pub(crate) struct Sleep {
    deadline: Instant,
}

impl Future for Sleep {
    type Output = ();

    /// Whether the time has come is asked again and again, and left to chance.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if happens_once_in(3) {
            pass_until(self.deadline);
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
