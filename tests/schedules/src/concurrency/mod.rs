//! Doubles of what threads and tasks of the store meet at. Every step of theirs is a point at which the scheduler chooses who
//! goes on. They are to `tests/schedules` what `store/src/concurrency.rs` is to the store.
//!
//! Memory is sequentially consistent here: an ordering that is too weak is not noticed.

mod cell;
mod channel;
mod lock;
pub(crate) mod oneshot;
mod semaphore;
pub(crate) mod task;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod watch;

pub(crate) use cell::{ArcSwap, ArcSwapOption, Guard, OnceLock};
pub(crate) use channel::{Either, Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, either, select};
pub(crate) use lock::{Condvar, Mutex, RwLock};
pub(crate) use semaphore::{OwnedSemaphorePermit, Semaphore};
pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};
pub(crate) use time::Instant;

use std::hash::{BuildHasherDefault, DefaultHasher};

use shuttle::rand::Rng as _;

/// Names are spread over locks in the same way each time, so that a schedule can be repeated.
pub(crate) type DefaultHashBuilder = BuildHasherDefault<DefaultHasher>;

/// Something that is left to chance, once in so many times. The scheduler knows the outcome and repeats it.
pub(crate) fn happens_once_in(times: u32) -> bool {
    shuttle::rand::thread_rng().gen_range(0..times) == 0
}

/// One number of so many.
pub(crate) fn choose(count: usize) -> usize {
    shuttle::rand::thread_rng().gen_range(0..count)
}

/// One of these.
pub(crate) fn one_of<T, const COUNT: usize>(all: [T; COUNT]) -> T {
    all.into_iter().nth(choose(COUNT)).expect("it is one of them")
}
