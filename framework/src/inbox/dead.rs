//! Messages that could not be handled, put aside for people.

use std::fmt;

use async_trait::async_trait;

use super::{
    consumer::ConsumeError,
    limits::ERROR_BYTES_MAX,
    message::{Incoming, Malformed},
};

/// Why a message became a dead letter, as a kind. The names stand in the broker for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DeathReason {
    /// It is not a message.
    Malformed,
    /// Its payload cannot be read, or its version is not known.
    Unreadable,
    /// The handler refused it.
    Refused,
    /// It failed as often as it may.
    Exhausted,
}

impl DeathReason {
    const ALL: [Self; 4] = [Self::Malformed, Self::Unreadable, Self::Refused, Self::Exhausted];

    /// Its name: `malformed`, `unreadable`, `refused`, `exhausted`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl fmt::Display for DeathReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a message becomes a dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Death {
    /// The kind.
    pub reason: DeathReason,
    /// What went wrong, for people.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl Death {
    pub(super) fn new(reason: DeathReason, error: impl Into<String>, attempts: u32) -> Self {
        let mut error = error.into();
        error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX));
        Self { reason, error, attempts }
    }
}

/// A message that was put aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// Its number among the dead letters, by which it is replayed or discarded.
    pub number: u64,
    /// The inbox that could not handle it.
    pub inbox: String,
    /// Why it could not.
    pub death: Death,
    /// Where it was delivered from: the broker's stream and the number there.
    pub origin: String,
    /// The message.
    pub message: Result<Incoming, Malformed>,
}

/// The dead letters of an inbox, for whoever looks after it.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// At most `limit` dead letters, in the order of their numbers, from behind the number `after`; 0 is before all.
    ///
    /// # Errors
    /// [`ConsumeError`] when the broker cannot be asked.
    async fn list(&self, after: u64, limit: usize) -> Result<Vec<DeadLetter>, ConsumeError>;

    /// The dead letter of this number, if there is one.
    ///
    /// # Errors
    /// As [`DeadLetters::list`].
    async fn get(&self, number: u64) -> Result<Option<DeadLetter>, ConsumeError>;

    /// Delivers it to its inbox once more, under its own id: what it had caused already is not recorded again. Then it is
    /// no dead letter any more, unless it fails again. Says whether there was one.
    ///
    /// # Errors
    /// As [`DeadLetters::list`].
    async fn replay(&self, number: u64) -> Result<bool, ConsumeError>;

    /// Forgets it. Says whether there was one.
    ///
    /// # Errors
    /// As [`DeadLetters::list`].
    async fn discard(&self, number: u64) -> Result<bool, ConsumeError>;
}
