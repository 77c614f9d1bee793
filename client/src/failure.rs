//! What became of an attempt that failed.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use annalist_core::{AppendError, Condition, Invalid, Key, StoreError};
use annalist_proto::Failed;
use tokio_rustls::rustls;
use tonic::{Code, ConnectError, Status};

/// What became of an attempt that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no, and would be again.
    Refused(AppendError),
    /// Nobody took the request: nothing was done.
    NotTaken(String),
    /// The request was sent and there was no answer: it may have been done.
    Lost(String),
}

impl Failure {
    /// Of a call that asks for this under these conditions.
    pub(crate) fn of(status: Status, conditions: &[Condition], key: Option<&Key>) -> Self {
        let status = match Failed::of(status, conditions, key) {
            Failed::Append(AppendError::Store(StoreError::Closed)) => {
                return Self::NotTaken("the server is shutting down".to_owned());
            }
            Failed::Append(refused) => return Self::Refused(refused),
            Failed::Other(status) => status,
        };
        let why = said(&status);
        if disagrees(&status) {
            return Self::Refused(AppendError::Unavailable { why });
        }
        if sources(&status).any(|source| {
            source.is::<ConnectError>() || was_not_sent(source) || came_too_late(source) || nothing_was_said(source)
        }) {
            return Self::NotTaken(why);
        }
        match status.code() {
            Code::InvalidArgument => Self::Refused(Invalid::Other { why: status.message().to_owned() }.into()),
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::ResourceExhausted
            | Code::OutOfRange => Self::Refused(AppendError::Unavailable { why }),
            _ => Self::Lost(why),
        }
    }

    /// Of a call that appends nothing.
    pub(crate) fn of_reading(status: Status) -> Self {
        Self::of(status, &[], None)
    }

    /// An answer that cannot be understood.
    pub(crate) fn incomprehensible(why: &dyn std::fmt::Display) -> Self {
        let why =
            format!("the server's answer cannot be understood ({why}); use a client that is as new as the server");
        Self::Refused(AppendError::Unavailable { why })
    }

    /// As an error of an append.
    pub(crate) fn into_append_error(self) -> AppendError {
        match self {
            Self::Refused(error) => error,
            Self::NotTaken(why) => AppendError::Unavailable { why },
            Self::Lost(why) => AppendError::Unknown { why },
        }
    }

    /// As an error of reading.
    pub(crate) fn into_store_error(self) -> StoreError {
        match self {
            Self::Refused(AppendError::Store(error)) => error,
            Self::Refused(AppendError::Invalid(invalid)) => invalid.into(),
            Self::Refused(AppendError::Unavailable { why }) | Self::NotTaken(why) | Self::Lost(why) => {
                StoreError::Unavailable { why }
            }
            Self::Refused(other) => StoreError::Unavailable { why: other.to_string() },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// What a status says, with all its causes: "transport error" alone helps nobody.
pub(crate) fn said(status: &Status) -> String {
    let message = if status.message().is_empty() { status.code().description() } else { status.message() };
    with_causes(message.to_owned(), status)
}

/// What an error says, with all its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    with_causes(error.to_string(), error)
}

fn with_causes(mut text: String, error: &(dyn Error + 'static)) -> String {
    for source in sources(error) {
        let source = source.to_string();
        if !text.ends_with(&source) {
            text = format!("{text}: {source}");
        }
    }
    text
}

/// Whether the connection was given up while the request still waited to be sent on it.
fn was_not_sent(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
}

/// Whether the server had ended the connection in order before it came to this request: it says up to which it has come, and those
/// behind it were not looked at (RFC 9113 section 6.8). h2 (0.4) gives this error to these alone; those that are cut off when the
/// connection is closed get another.
fn came_too_late(error: &(dyn Error + 'static)) -> bool {
    let ended = error.downcast_ref::<h2::Error>().filter(|error| error.is_go_away() && error.is_remote());
    ended.is_some_and(|ended| ended.reason() == Some(h2::Reason::NO_ERROR))
}

/// Whether the connection ended before the server had said anything on it; no other has this kind of error once it is made.
fn nothing_was_said(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Whether the two do not agree on TLS. Nothing was asked then, and asking again would change nothing.
fn disagrees(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| {
        let inner = source.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) || source.is::<rustls::Error>()
    })
}
