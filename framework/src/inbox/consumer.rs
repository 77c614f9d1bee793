//! The port to a broker.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::{
    dead::Death,
    message::{Incoming, Malformed},
};

/// What an inbox asks of its consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// The inbox's name, under which the broker remembers what was acknowledged.
    pub inbox: &'static str,
    /// Most messages that are delivered and not answered.
    pub in_flight_max: usize,
    /// After how long without an answer, or [`Answer::working`], a message is delivered again.
    pub ack_wait: Duration,
    /// The number of a message from which on all are delivered again, those included that were acknowledged: what they had caused
    /// was lost. `None`, or one that is not acknowledged: from the oldest on that is not.
    pub from: Option<u64>,
}

impl Terms {
    /// Terms for an inbox of this name.
    #[must_use]
    pub const fn new(inbox: &'static str, in_flight_max: usize, ack_wait: Duration) -> Self {
        Self { inbox, in_flight_max, ack_wait, from: None }
    }
}

/// A source of messages that remembers which were acknowledged.
///
/// The inbox calls [`Consumer::connect`] first and again after every error. Constructing a consumer connects to nothing.
/// One process at a time consumes under a name. Every implementation passes [the contract](super::contract).
#[async_trait]
pub trait Consumer: Send + 'static {
    /// A name for logs and status: the kind of broker, and what is consumed.
    fn name(&self) -> String;

    /// Connects if need be, makes what the broker needs for this name, and begins anew: everything that is not
    /// acknowledged is delivered again from the oldest on, in the order of the stream, before anything newer; and what
    /// [`Terms::from`] asks for. Answers to what was delivered before are of no use then.
    ///
    /// # Errors
    /// [`ConsumeError`]; the inbox tries again later if it is not for a person to mend.
    async fn connect(&mut self, terms: &Terms) -> Result<(), ConsumeError>;

    /// The next message, in the order of the stream; waits while there is none. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ConsumeError`] when the broker is lost: the inbox must connect again.
    async fn next(&mut self) -> Result<Delivered, ConsumeError>;

    /// Sends what is still on its way to the broker and disconnects. Answers within a bounded time.
    async fn close(&mut self);
}

#[async_trait]
impl Consumer for Box<dyn Consumer> {
    fn name(&self) -> String {
        (**self).name()
    }
    async fn connect(&mut self, terms: &Terms) -> Result<(), ConsumeError> {
        (**self).connect(terms).await
    }
    async fn next(&mut self) -> Result<Delivered, ConsumeError> {
        (**self).next().await
    }
    async fn close(&mut self) {
        (**self).close().await;
    }
}

/// A message on its way to a handler, to be answered.
pub struct Delivered {
    /// What it says, if it can be read.
    pub message: Result<Incoming, Malformed>,
    /// How often the broker knows to have delivered it, from 1; brokers forget that when an inbox connects anew.
    pub deliveries: u32,
    /// How many messages wait at the broker behind it.
    pub behind: u64,
    /// Its number in the broker's stream, which grows from message to message; `None` of one that is not in it, as a dead letter
    /// that is replayed.
    pub sequence: Option<u64>,
    /// By which it is answered.
    pub answer: Box<dyn Answer>,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, deliveries, behind, sequence, .. } = self;
        f.debug_struct("Delivered")
            .field("message", message)
            .field("deliveries", deliveries)
            .field("behind", behind)
            .field("sequence", sequence)
            .finish_non_exhaustive()
    }
}

/// The answer to one message. An answer that gets lost only makes the message come again.
#[async_trait]
pub trait Answer: Send + Sync + 'static {
    /// It is done and need not come again. The broker need not have taken that note when this returns.
    ///
    /// # Errors
    /// [`ConsumeError`] when the broker is lost.
    async fn ack(&self) -> Result<(), ConsumeError>;

    /// It is given back, and comes again after `delay`, possibly behind later ones.
    ///
    /// # Errors
    /// [`ConsumeError`] when the broker is lost.
    async fn nak(&self, delay: Duration) -> Result<(), ConsumeError>;

    /// It is still worked on: [`Terms::ack_wait`] begins again.
    ///
    /// # Errors
    /// [`ConsumeError`] when the broker is lost.
    async fn working(&self) -> Result<(), ConsumeError>;

    /// It is put aside as a dead letter, durably, and then does not come again. Returns when the dead letter is stored; a
    /// dead letter that is stored again is one.
    ///
    /// # Errors
    /// [`ConsumeError`] when the dead letter could not be stored; the message comes again.
    async fn dead(&self, death: &Death) -> Result<(), ConsumeError>;
}

/// Why nothing could be consumed, or an answer not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The broker cannot be reached, or did not answer in time. Try again later.
    #[error("the broker cannot be reached: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// What is consumed cannot be used as it is configured. It needs a person.
    #[error("it cannot be consumed as it is configured: {detail}")]
    Misconfigured {
        /// What is wrong, and what to change.
        detail: String,
    },
}
