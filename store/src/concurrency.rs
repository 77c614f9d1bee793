//! What threads and tasks meet at: locks, queues, signals, the threads themselves, and the clock that they wait by.
//!
//! Whatever takes part in a hand-off takes these from here, so that `tests/schedules` can compile the same sources with
//! doubles of them, whose every step is chosen by a scheduler (ADR 62).

pub(crate) use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize},
    },
    thread,
    time::Instant,
};

pub(crate) use arc_swap::{ArcSwap, ArcSwapOption, Guard};
pub(crate) use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select};
/// By which names are spread over locks.
pub(crate) use hashbrown::DefaultHashBuilder;
pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
pub(crate) use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task, time,
};
