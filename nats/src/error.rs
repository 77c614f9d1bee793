//! What the client's errors mean for an outbox.

use std::error::Error;

use annalist::outbox::{Message, PublishError};
use async_nats::jetstream::{
    self,
    context::{self, PublishErrorKind},
};

/// The server's error codes that are told apart. They stand for ever.
mod code {
    /// The last message of the stream has another number than the publisher said.
    pub(super) const WRONG_LAST_SEQUENCE: u64 = 10071;
    /// The same, when the leader cannot tell the number because other messages are on their way.
    pub(super) const WRONG_LAST_SEQUENCE_IN_FLIGHT: u64 = 10164;
    /// A message with this id is on its way.
    pub(super) const DUPLICATE_IN_FLIGHT: u64 = 10158;
    /// The subject belongs to another stream than the publisher said.
    pub(super) const STREAM_NOT_MATCH: u64 = 10060;
    /// The stream was closed for ever.
    pub(super) const STREAM_SEALED: u64 = 10109;
}

pub(crate) fn unavailable(detail: &(impl ToString + ?Sized)) -> PublishError {
    PublishError::Unavailable { detail: detail.to_string() }
}

pub(crate) fn misconfigured(detail: impl Into<String>) -> PublishError {
    PublishError::Misconfigured { detail: detail.into() }
}

/// Why a message was not stored.
pub(crate) fn of_publish(error: &context::PublishError, message: &Message) -> PublishError {
    let refused = || PublishError::Refused { id: message.id(), detail: error.to_string() };
    let server = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    match (error.kind(), server) {
        (PublishErrorKind::MaxPayloadExceeded, _) => refused(),
        (_, None) => unavailable(error),
        (_, Some(server)) => match (server.error_code().0, server.code()) {
            (code::WRONG_LAST_SEQUENCE | code::WRONG_LAST_SEQUENCE_IN_FLIGHT, _) => {
                PublishError::Fenced { detail: server.to_string() }
            }
            (code::DUPLICATE_IN_FLIGHT, _) => unavailable(server),
            (code::STREAM_NOT_MATCH | code::STREAM_SEALED, _) => misconfigured(server.to_string()),
            (_, 400..=499) => refused(),
            _ => unavailable(server),
        },
    }
}
