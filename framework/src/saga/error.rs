//! Why a saga cannot be looked at or operated.

use std::time::Duration;

use annalist_core::{Position, StoreError};

use super::{
    halt::{Halt, Trouble},
    model::EffectId,
};
use crate::projection::ViewError;

/// Why something could not be done with a saga or an instance.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SagaError {
    /// There is no such saga.
    #[error("there is no saga `{name}`; registered are: {registered}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        registered: String,
    },
    /// The instance is not in quarantine, or there is no such instance.
    #[error("the saga `{saga}` has no instance `{key}` in quarantine")]
    NotQuarantined {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
    },
    /// The command has an outcome already, or was never sent.
    #[error("the instance `{key}` of the saga `{saga}` does not wait for the command {effect}")]
    NotPending {
        /// The saga.
        saga: &'static str,
        /// The key of the instance.
        key: String,
        /// The command.
        effect: EffectId,
    },
    /// The instance is not done within the time that was given. Wait longer, or look at it.
    #[error("the instance `{key}` of the saga `{saga}` was not done within {waited:?}")]
    UnderWay {
        /// The saga.
        saga: &'static str,
        /// The key of the instance.
        key: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// The saga is not held up by this event.
    #[error(
        "the saga `{saga}` is not held up by the event at position {position}; its status says by which, if by one"
    )]
    NotBlocked {
        /// The saga.
        saga: &'static str,
        /// The position that was named.
        position: Position,
    },
    /// The state of the instance cannot be read: the program must be mended.
    #[error("the state of the instance `{key}` cannot be read: {why}")]
    State {
        /// The key of the instance.
        key: String,
        /// What is in the way.
        why: String,
    },
    /// What a person says that a command replied is not what the saga reads there.
    #[error("{why}")]
    Reply {
        /// What was expected.
        why: String,
    },
    /// The saga takes no more events in.
    #[error("the saga `{saga}` follows the log no more: {why}")]
    Stopped {
        /// The saga.
        saga: &'static str,
        /// Why.
        why: String,
    },
    /// The rows of the saga cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The store cannot be read or written.
    #[error("the store could not be used: {why}")]
    Store {
        /// What is in the way.
        why: String,
    },
}

impl From<StoreError> for SagaError {
    fn from(error: StoreError) -> Self {
        Self::Store { why: error.to_string() }
    }
}

impl From<Trouble> for SagaError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Passing(why) | Trouble::Halt(Halt::Failed(why)) => Self::Store { why },
            Trouble::Halt(Halt::Stopped) => StoreError::Closed.into(),
        }
    }
}

impl From<Halt> for SagaError {
    fn from(halt: Halt) -> Self {
        Trouble::Halt(halt).into()
    }
}
