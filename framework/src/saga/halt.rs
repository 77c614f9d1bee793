//! What interrupts a saga's work, and whether waiting helps.

use std::error::Error;

use annalist_core::{AppendError, StoreError};

/// What is in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// It may pass by itself.
    Passing(String),
    /// Work must end.
    Halt(Halt),
}

/// Why work ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Halt {
    /// It was told to, or the store is closed.
    Stopped,
    /// It cannot go on; someone must act.
    Failed(String),
}

impl From<Halt> for Trouble {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Halt(Halt::Stopped),
            StoreError::Unavailable { why } => Self::Passing(why),
            error => Self::Halt(Halt::Failed(chain(&error))),
        }
    }
}

impl From<AppendError> for Trouble {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Store(error) => error.into(),
            AppendError::Unavailable { why } | AppendError::Unknown { why } => Self::Passing(why),
            error => Self::Halt(Halt::Failed(chain(&error))),
        }
    }
}

/// An error with everything that caused it.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
