//! Why a message was not handled: a kind for each thing that is done about it.

use std::error::Error;

use crate::command::{CommandError, ExecuteError};

/// Why a handler could not handle a message. A rejection by the domain is not among them: it is an answer, and the handler
/// decides what it means; see [`settled`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// Nothing is wrong with the message: the service itself cannot work (its store, for example). It is tried again for
    /// as long as that takes.
    #[error("the service cannot handle anything at present: {0}")]
    Wait(Box<dyn Error + Send + Sync>),
    /// It may succeed another time. It is tried again, and is a dead letter after
    /// [`attempts_max`](super::InboxOptions::attempts_max) attempts.
    #[error("{0}")]
    Retry(Box<dyn Error + Send + Sync>),
    /// It never will succeed. It is a dead letter at once.
    #[error("{0}")]
    Refuse(Box<dyn Error + Send + Sync>),
}

impl HandleError {
    /// [`HandleError::Wait`] with an error or a text.
    pub fn wait(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Wait(why.into())
    }

    /// [`HandleError::Retry`] with an error or a text.
    pub fn retry(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Retry(why.into())
    }

    /// [`HandleError::Refuse`] with an error or a text.
    pub fn refuse(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refuse(why.into())
    }

    /// The error and its sources, in one line.
    pub(super) fn chain(&self) -> String {
        let (Self::Wait(why) | Self::Retry(why) | Self::Refuse(why)) = self;
        let (mut text, mut source) = (why.to_string(), why.source());
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

impl From<CommandError> for HandleError {
    fn from(error: CommandError) -> Self {
        match error {
            // The store's troubles are no fault of the message.
            CommandError::Contended { .. }
            | CommandError::Unavailable { .. }
            | CommandError::Unknown { .. }
            | CommandError::DeadlineExceeded
            | CommandError::Store(_)
            | CommandError::Closed => Self::wait(error),
            CommandError::Refused { .. } | CommandError::Load(_) => Self::retry(error),
            CommandError::Unrecordable(_) | CommandError::KeyReused { .. } | CommandError::Reply { .. } => {
                Self::refuse(error)
            }
        }
    }
}

/// A rejection that the handler does not look at makes a dead letter: somebody should.
impl<R: Error + Send + Sync + 'static> From<ExecuteError<R>> for HandleError {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => Self::refuse(rejection),
            ExecuteError::Failed(error) => error.into(),
        }
    }
}

/// What the domain answered, apart from what the machinery could not do: `settled(executed)?` is the receipt or the
/// rejection, for the handler to look at.
///
/// A rejection is not recorded: when the message comes again the command is decided again, and may be accepted. So a handler
/// that does something else upon a rejection may, after a crash in between, have done both.
///
/// # Errors
/// [`CommandError`], for `?` to hand on.
pub fn settled<T, R: Error + 'static>(executed: Result<T, ExecuteError<R>>) -> Result<Result<T, R>, CommandError> {
    match executed {
        Ok(receipt) => Ok(Ok(receipt)),
        Err(ExecuteError::Rejected(rejection)) => Ok(Err(rejection)),
        Err(ExecuteError::Failed(error)) => Err(error),
    }
}
