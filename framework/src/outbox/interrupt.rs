//! What interrupts a relay's work, and what helps.

use annalist_core::{Position, StoreError};

use super::{feed::FeedError, publisher::PublishError, status::Stopped};

/// What interrupts the work.
pub(super) enum Interrupt {
    /// Resume and try again.
    Retry { error: String, fenced: bool },
    /// Nothing helps but a person, or the relay was told to end.
    Stop(Stopped),
}

impl From<Stopped> for Interrupt {
    fn from(why: Stopped) -> Self {
        Self::Stop(why)
    }
}

impl From<StoreError> for Interrupt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::Retry { error: error.to_string(), fenced: false },
            error => Self::Stop(Stopped::Log(error)),
        }
    }
}

impl From<FeedError> for Interrupt {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Store(error) => error.into(),
            FeedError::Unmappable(stopped) => stopped.into(),
        }
    }
}

impl From<PublishError> for Interrupt {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Unavailable { .. } => Self::Retry { error: error.to_string(), fenced: false },
            PublishError::Fenced { .. } => Self::Retry { error: error.to_string(), fenced: true },
            PublishError::Misconfigured { detail } => Self::Stop(Stopped::Misconfigured { detail }),
            PublishError::Refused { id, detail } => {
                Self::Stop(Stopped::Refused { position: Position::ZERO, id, detail })
            }
        }
    }
}
