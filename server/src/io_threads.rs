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
    task::spawn_blocking,
};

use crate::limits::IO_BLOCKING_THREADS_MAX;

/// See the module. The threads end when this is dropped, and what runs on them ends where it is; [`IoThreads::end`] waits for that.
pub(crate) struct IoThreads {
    first: IoThread,
    others: Box<[IoThread]>,
    taken: AtomicUsize,
}

struct IoThread {
    runtime: Handle,
    /// It goes on for as long as this is there.
    goes_on: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
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

    /// Ends the threads, those of theirs that wait for the disk too, and waits until they have ended: a process that ends with them
    /// would take from them what they still use.
    pub(crate) async fn end(self) {
        let threads = self.others.into_iter().chain([self.first]).map(|IoThread { goes_on, thread, .. }| {
            drop(goes_on);
            thread
        });
        let threads: Vec<_> = threads.collect();
        let ended =
            spawn_blocking(move || threads.into_iter().map(thread::JoinHandle::join).all(|ended| ended.is_ok()));
        if !ended.await.unwrap_or_default() {
            tracing::error!("a thread that served connections panicked");
        }
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
        let thread = thread::Builder::new().name(format!("annalist-io-{number}")).spawn(run)?;
        Ok(Self { runtime: handle, goes_on, thread })
    }
}

#[cfg(test)]
mod tests;
