//! Why a command was not executed: what the domain refuses apart from what the machinery could not do.

use std::error::Error;

use annalist_core::{AppendError, Key, StoreError};

use super::Target;
use crate::{aggregate::LoadError, event::EncodeError};

/// Why a command was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: Error + 'static> {
    /// The domain refuses. Nothing was recorded; the same command may be tried again.
    #[error(transparent)]
    Rejected(R),
    /// It could not be recorded, or it is not known whether it was.
    #[error(transparent)]
    Failed(#[from] CommandError),
}

impl<R: Error + 'static> ExecuteError<R> {
    /// Whether the same command may succeed if it is simply tried again, later. Not so for a rejection.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected(_) => false,
            Self::Failed(error) => error.is_retryable(),
        }
    }
}

/// What the machinery could not do: a kind for each thing that the caller would do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The command, its key or its events break a rule of the store. Nothing was recorded. Change them.
    #[error("the command cannot be recorded as it is: change it")]
    Unrecordable(#[source] Box<dyn Error + Send + Sync>),
    /// The key was used before, for another command. Nothing was recorded. Use a new key for a new command.
    #[error("the key `{key}` was used before for another command; use a new key")]
    KeyReused {
        /// The key.
        key: Key,
    },
    /// Others added to what the decision rests on each time. Nothing was recorded. Try again later.
    #[error("others added to {target} at each of {attempts} attempts; try again later")]
    Contended {
        /// What the decision rests on.
        target: Target,
        /// How often it was tried.
        attempts: u32,
    },
    /// The store could not take it, for as long as it was tried. Nothing was recorded. Try again later.
    #[error("the store could not be used: {why}; try again later")]
    Unavailable {
        /// What is in the way.
        why: String,
    },
    /// Whether it was recorded is not known. With a key: repeat it with the same one, once the store is open again.
    /// Without one only the events can tell.
    #[error("it is not known whether the command was recorded: {why}; {}", advice(key.as_ref()))]
    Unknown {
        /// The key of the command.
        key: Option<Key>,
        /// What went wrong.
        why: String,
    },
    /// The deadline passed before the command was handed to the store. This execution recorded nothing. Try again, with
    /// more time or when there is less to do. (If it passes afterwards, the answer is [`CommandError::Unknown`].)
    #[error("the deadline passed before the command was handed to the store; try again with more time")]
    DeadlineExceeded,
    /// A layer of the app refuses the command. Nothing was recorded. Its reason says what to do.
    #[error("refused by {by}: {why}")]
    Refused {
        /// The layer.
        by: &'static str,
        /// Its reason, which may be downcast to the layer's own error.
        why: Box<dyn Error + Send + Sync>,
    },
    /// What the decision rests on could not be loaded. Nothing was recorded. Someone must act.
    #[error("what the decision rests on could not be loaded")]
    Load(#[source] LoadError),
    /// It was recorded, but the reply of that time cannot be read: its type has changed. Someone must act.
    #[error("the command was recorded under the key `{key}`, but its reply cannot be read: {detail}")]
    Reply {
        /// The key.
        key: Key,
        /// What serde said.
        detail: String,
    },
    /// The store failed in a way that does not pass by itself. Nothing was recorded. Someone must act.
    #[error("the store failed")]
    Store(#[source] AppendError),
    /// The app shuts down and takes no more commands. Nothing was recorded.
    #[error("the app is shutting down and takes no more commands")]
    Closed,
}

fn advice(key: Option<&Key>) -> &'static str {
    match key {
        Some(_) => "repeat it with the same key",
        None => "it had no key, so look at the aggregate before trying again",
    }
}

impl CommandError {
    /// Whether the same command may succeed if it is simply tried again, later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Contended { .. } | Self::Unavailable { .. } | Self::DeadlineExceeded => true,
            // With a key a repetition is harmless.
            Self::Unknown { key, .. } => key.is_some(),
            Self::Unrecordable(_)
            | Self::KeyReused { .. }
            | Self::Refused { .. }
            | Self::Load(_)
            | Self::Reply { .. }
            | Self::Store(_)
            | Self::Closed => false,
        }
    }

    /// A short name of the kind, for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unrecordable(_) => "unrecordable",
            Self::KeyReused { .. } => "key-reused",
            Self::Contended { .. } => "contended",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown { .. } => "unknown",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Refused { .. } => "refused",
            Self::Load(_) => "load",
            Self::Reply { .. } => "reply",
            Self::Store(_) => "store",
            Self::Closed => "closed",
        }
    }

    pub(super) fn unrecordable(why: impl Error + Send + Sync + 'static) -> Self {
        Self::Unrecordable(Box::new(why))
    }

    /// What the refusal of an append means for the command. A conflict counts as one attempt.
    pub(super) fn of_append(error: AppendError, target: &Target, key: Option<&Key>) -> Self {
        match error {
            AppendError::Conflict { .. } | AppendError::ConditionFailed { .. } => {
                Self::Contended { target: target.clone(), attempts: 1 }
            }
            AppendError::KeyReused { key } => Self::KeyReused { key },
            AppendError::Unavailable { why } | AppendError::Store(StoreError::Unavailable { why }) => {
                Self::Unavailable { why }
            }
            AppendError::Unknown { why } => Self::Unknown { key: key.cloned(), why },
            AppendError::Invalid(_) | AppendError::TooLarge { .. } => Self::unrecordable(error),
            AppendError::Store(StoreError::Closed) => Self::Closed,
            // Poisoned, corrupt, and whatever kinds are added.
            _ => Self::Store(error),
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { why } => Self::Unavailable { why },
            StoreError::Closed => Self::Closed,
            error => Self::Store(error.into()),
        }
    }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => error.into(),
            LoadError::Id(invalid) => Self::unrecordable(invalid),
            error @ LoadError::Unreadable { .. } => Self::Load(error),
        }
    }
}

impl From<EncodeError> for CommandError {
    fn from(error: EncodeError) -> Self {
        Self::unrecordable(error)
    }
}
