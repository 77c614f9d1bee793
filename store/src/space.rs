//! Space on the disk, so that a full one is met before it happens.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How old an answer may be: in this time a quick disk takes some ten megabytes, a small part of the reserve.
const ASK_INTERVAL: Duration = Duration::from_millis(20);

/// What is free on the disk of a folder, asked for now and then.
pub(crate) struct Space {
    dir: PathBuf,
    reserve_bytes: u64,
    began: Instant,
    /// When to ask again, in microseconds since it began.
    next: AtomicU64,
    free_bytes: AtomicU64,
}

impl Space {
    pub(crate) fn of(dir: PathBuf, reserve_bytes: u64) -> Self {
        let (began, next) = (Instant::now(), AtomicU64::new(0));
        Self { dir, reserve_bytes, began, next, free_bytes: AtomicU64::new(u64::MAX) }
    }

    /// Why nothing is to be written, if the reserve is touched. Asks the file system, which knows it without the disk.
    pub(crate) fn shortage(&self) -> Option<String> {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (now, next) = (micros(self.began.elapsed()), self.next.load(Ordering::Relaxed));
        let then = now.saturating_add(micros(ASK_INTERVAL));
        let is_due = self.reserve_bytes > 0 && now >= next;
        // One of those who find it due asks. What cannot be asked is taken to be as it was.
        if is_due
            && self.next.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            && let Ok(free) = fs4::available_space(&self.dir)
        {
            self.free_bytes.store(free, Ordering::Relaxed);
        }
        let free = self.free_bytes.load(Ordering::Relaxed);
        (free < self.reserve_bytes).then(|| {
            let (dir, reserve) = (self.dir.display(), self.reserve_bytes);
            format!("the disk of {dir} is full: {free} bytes are free and {reserve} are kept in reserve; make room, and appends go on")
        })
    }
}
