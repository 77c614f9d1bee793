//! The threads that serve connections.
//!
//! Each has a runtime of its own, and a connection stays with one of them. The tasks of a connection hand work to each other and to
//! the sequencer, one step at a time; the workers of a shared runtime would wake each other at each of these steps, to find nothing
//! to do (ADR 72).

use std::{
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, available_parallelism},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use crate::limits::IO_BLOCKING_THREADS_MAX;

/// See the module. The threads end when this is dropped, and what runs on them ends where it is.
pub(crate) struct IoThreads {
    first: IoThread,
    others: Box<[IoThread]>,
    taken: AtomicUsize,
}

struct IoThread {
    runtime: Handle,
    /// It goes on for as long as this is there.
    _goes_on: oneshot::Sender<()>,
}

impl IoThreads {
    /// One thread for each processor.
    ///
    /// # Errors
    /// What the system says when there are no threads.
    pub(crate) fn start() -> io::Result<Self> {
        let count = available_parallelism().map_or(1, NonZeroUsize::get);
        let others = (1..count).map(IoThread::start).collect::<Result<_, _>>()?;
        Ok(Self { first: IoThread::start(0)?, others, taken: AtomicUsize::new(0) })
    }

    /// Where the next connection goes; they take turns.
    pub(crate) fn next(&self) -> &Handle {
        let turn = self.taken.fetch_add(1, Ordering::Relaxed) % (self.others.len() + 1);
        &turn.checked_sub(1).and_then(|turn| self.others.get(turn)).unwrap_or(&self.first).runtime
    }
}

impl IoThread {
    fn start(number: usize) -> io::Result<Self> {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(IO_BLOCKING_THREADS_MAX).build()?;
        let handle = runtime.handle().clone();
        let (goes_on, ended) = oneshot::channel::<()>();
        let run = move || {
            // Nobody says anything: an error means that this was dropped.
            _ = runtime.block_on(ended);
        };
        thread::Builder::new().name(format!("annalist-io-{number}")).spawn(run)?;
        Ok(Self { runtime: handle, _goes_on: goes_on })
    }
}

#[cfg(test)]
mod tests;
