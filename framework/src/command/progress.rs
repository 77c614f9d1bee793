//! How far a command is, and what that means when the caller waits no longer.

use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
    time::Duration,
};

use annalist_core::Key;
use tokio::time::Instant;

use super::CommandError;

/// Until when the caller of a command waits: for so long from when it is awaited, or until a moment of Tokio's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// For so long. A time beyond the clock's end is no deadline.
    In(Duration),
    /// Until then.
    At(Instant),
}

impl From<Duration> for Deadline {
    fn from(within: Duration) -> Self {
        Self::In(within)
    }
}

impl From<Instant> for Deadline {
    fn from(at: Instant) -> Self {
        Self::At(at)
    }
}

impl From<std::time::Instant> for Deadline {
    fn from(at: std::time::Instant) -> Self {
        Self::At(at.into())
    }
}

/// How far one execution of a command is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    retries: AtomicU32,
}

/// Nothing of the command is with the store.
const BEFORE: u8 = 0;
/// The store has it and has not answered.
const HANDED: u8 = 1;
/// What came of it is known.
const ANSWERED: u8 = 2;

impl Progress {
    /// The store is given the append now.
    pub(super) fn hand_over(&self) {
        self.stage.store(HANDED, Ordering::Relaxed);
    }

    /// The store has not recorded it, and will not.
    pub(super) fn take_back(&self) {
        self.stage.store(BEFORE, Ordering::Relaxed);
    }

    /// What came of it is known.
    pub(super) fn answer(&self) {
        self.stage.store(ANSWERED, Ordering::Relaxed);
    }

    /// It is tried again.
    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was tried again.
    pub(super) fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// What is to be said when nobody waits any longer; `None` when the answer is there and need only be fetched.
    pub(super) fn given_up(&self, key: Option<&Key>, otherwise: impl FnOnce() -> CommandError) -> Option<CommandError> {
        match self.stage.load(Ordering::Relaxed) {
            ANSWERED => None,
            HANDED => {
                let why = "the store had not answered when it was given up".to_owned();
                Some(CommandError::Unknown { key: key.cloned(), why })
            }
            _ => Some(otherwise()),
        }
    }

    /// Waits for an execution, but only until the deadline. An answer that is there is never thrown away.
    pub(super) async fn until<T, E: From<CommandError>>(
        &self,
        deadline: Option<Deadline>,
        key: Option<&Key>,
        execution: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let deadline = match deadline {
            Some(Deadline::In(within)) => Instant::now().checked_add(within),
            Some(Deadline::At(at)) => Some(at),
            None => None,
        };
        let Some(deadline) = deadline else { return execution.await };
        let mut execution = pin!(execution);
        if let Ok(done) = tokio::time::timeout_at(deadline, &mut execution).await {
            return done;
        }
        match self.given_up(key, || CommandError::DeadlineExceeded) {
            Some(error) => Err(error.into()),
            None => execution.await,
        }
    }
}
