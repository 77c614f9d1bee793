//! The port to a broker.

use annalist_core::{Cursor, EventId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::message::Message;

/// What a message says of its origin: where to continue behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Where the domain event of the message stands.
    pub cursor: Cursor,
    /// Which of its integration events it was, from 0.
    pub ordinal: u32,
    /// The domain event's identity: shows whether the log still has the history that was published.
    pub event_id: EventId,
}

impl From<&Message> for Published {
    fn from(message: &Message) -> Self {
        Self { cursor: message.cursor, ordinal: message.ordinal, event_id: message.event_id }
    }
}

/// The end of what a broker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tail {
    /// The broker's number of the last message that was ever stored; 0 if there was none.
    pub sequence: u64,
    /// What that message says of its origin; `None` if there was none, or if the broker no longer keeps it.
    pub last: Option<Published>,
}

/// A destination of integration events that keeps them in order.
///
/// The relay calls [`Publisher::resume`] first and again after every error; only then is it known what the broker
/// holds. Constructing a publisher connects to nothing. Every implementation passes [the contract](super::contract).
#[async_trait]
pub trait Publisher: Send + 'static {
    /// A name for logs, notes and status: the kind of broker and its stream. It stays the same when the broker moves.
    fn name(&self) -> String;

    /// Connects if need be and asks the broker for the last message it holds. The answer includes everything that was
    /// ever acknowledged; with it this publisher takes over from any other.
    ///
    /// # Errors
    /// [`PublishError`] when it cannot be told; the relay tries again later.
    async fn resume(&mut self) -> Result<Tail, PublishError>;

    /// Stores messages in order behind the tail, each once, and returns when the broker has acknowledged all of them:
    /// its number of the last one. A message that another publisher has stored at its very place counts as stored.
    /// Answers within a bounded time. Dropping the future is like an error.
    ///
    /// # Errors
    /// [`PublishError`] when one was not acknowledged. Any number of the first may be stored; when another publisher
    /// with the same messages is in between, also such behind them that fit where that one has stopped: always in
    /// order, without a gap, each once. The caller must call [`Publisher::resume`] before it publishes again; until then
    /// everything is refused.
    async fn publish(&mut self, messages: &[Message]) -> Result<u64, PublishError>;
}

#[async_trait]
impl Publisher for Box<dyn Publisher> {
    fn name(&self) -> String {
        (**self).name()
    }
    async fn resume(&mut self) -> Result<Tail, PublishError> {
        (**self).resume().await
    }
    async fn publish(&mut self, messages: &[Message]) -> Result<u64, PublishError> {
        (**self).publish(messages).await
    }
}

/// Why a broker did not take messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// It cannot be reached, or did not answer in time. Try again later.
    #[error("the broker cannot be reached: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// Somebody else published since [`Publisher::resume`]: a second relay runs, or a message of ours arrived late.
    /// Resume, and tell the operator.
    #[error("another relay publishes to the same stream: {detail}; stop one of them")]
    Fenced {
        /// What the broker said.
        detail: String,
    },
    /// The broker refuses a message for what it is (too large, for example). It needs a person.
    #[error("the broker refuses the message {id}: {detail}")]
    Refused {
        /// Which message: [`Message::id`].
        id: String,
        /// What the broker said.
        detail: String,
    },
    /// The destination cannot be used as it is configured (a stream's name or subjects, credentials). It needs a person.
    #[error("the destination cannot be used: {detail}")]
    Misconfigured {
        /// What is wrong, and what to change.
        detail: String,
    },
}
