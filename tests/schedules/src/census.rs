//! What has come up: scenarios in which nothing is refused, or nobody meets anybody, would check little.

use std::{cell::RefCell, collections::BTreeSet};

use annalist_core::{AppendError, Appended, StoreError};

/// What can become of a call, and what else is worth knowing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// An append was recorded.
    Recorded,
    /// An append was answered with what is recorded under its key.
    Repeated,
    /// A stream was at another version than expected.
    Conflict,
    /// A condition did not hold.
    ConditionFailed,
    /// A key was used for something else.
    KeyReused,
    /// A write failed, and this append was part of it.
    Unknown,
    /// A write had failed before.
    Poisoned,
    /// The index failed, and memory was full.
    Unavailable,
    /// The store was closed.
    Closed,
    /// Nobody waited for the answer.
    Abandoned,
    /// One write made several appends durable.
    SharedWrite,
    /// A read began when part of the log was in the index, and part of it was not.
    AcrossTheMark,
    /// A subscriber was told that there is nothing more.
    CaughtUp,
    /// A subscriber was told how far others' events were passed over.
    Checkpoint,
}

thread_local! {
    /// Of this test: all tasks of an execution share its thread.
    static CAME_UP: RefCell<BTreeSet<Kind>> = const { RefCell::new(BTreeSet::new()) };
}

pub(crate) fn note(kind: Kind) {
    CAME_UP.with_borrow_mut(|came_up| came_up.insert(kind));
}

pub(crate) fn note_answer(answer: &Result<Appended, AppendError>) {
    note(match answer {
        Ok(appended) if appended.repeated => Kind::Repeated,
        Ok(_) => Kind::Recorded,
        Err(AppendError::Conflict { .. }) => Kind::Conflict,
        Err(AppendError::ConditionFailed { .. }) => Kind::ConditionFailed,
        Err(AppendError::KeyReused { .. }) => Kind::KeyReused,
        Err(AppendError::Unknown { .. }) => Kind::Unknown,
        Err(AppendError::Poisoned { .. }) => Kind::Poisoned,
        Err(AppendError::Unavailable { .. }) => Kind::Unavailable,
        Err(AppendError::Store(StoreError::Closed)) => Kind::Closed,
        Err(_) => return,
    });
}

/// Which of these never came up.
pub(crate) fn missing(expected: &[Kind]) -> Vec<Kind> {
    CAME_UP.with_borrow(|came_up| expected.iter().copied().filter(|kind| !came_up.contains(kind)).collect())
}
