//! Errors as a status with a [`Failure`](v1::Failure) in its details, and back.

use annalist_core::{AppendError, Condition, Cursor, Expected, Invalid, Key, Position, StoreError, StreamId, Version};
use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use v1::failure::{self, Kind, invalid::Rule};

use crate::{cursor::malformed, limits::TEXT_BYTES_MAX, v1};

/// What a failure is called in the details of a status.
const TYPE_URL: &str = "type.googleapis.com/annalist.v1.Failure";

/// The status that says why an append was refused.
#[must_use]
pub fn append_status(error: &AppendError) -> Status {
    let (code, kind) = match error {
        AppendError::Conflict { stream, expected, actual } => {
            let (stream, expected) = (stream.to_string(), Some((*expected).into()));
            (Code::Aborted, Kind::Conflict(failure::Conflict { stream, expected, actual: actual.get() }))
        }
        // The caller knows the query: it is long, and headers are short.
        AppendError::ConditionFailed { number, first, .. } => {
            let number = u32::try_from(*number).unwrap_or(u32::MAX);
            (Code::Aborted, Kind::ConditionFailed(failure::ConditionFailed { number, first: first.get() }))
        }
        AppendError::KeyReused { .. } => (Code::AlreadyExists, Kind::KeyReused(failure::KeyReused {})),
        AppendError::Invalid(invalid) => return store_status(&StoreError::Invalid(invalid.clone())),
        AppendError::TooLarge { what, actual, limit } => {
            let (what, actual, limit) = ((*what).to_owned(), *actual as u64, *limit as u64);
            (Code::InvalidArgument, Kind::TooLarge(failure::TooLarge { what, actual, limit }))
        }
        AppendError::Unavailable { why } => unavailable(why),
        AppendError::Unknown { why } => (Code::Unknown, Kind::Unknown(failure::Unknown { why: short(why) })),
        AppendError::Poisoned { reason } => {
            (Code::FailedPrecondition, Kind::Poisoned(failure::Poisoned { reason: short(reason) }))
        }
        AppendError::Store(error) => return store_status(error),
        other => unavailable(&other.to_string()),
    };
    status(code, &error.to_string(), kind)
}

/// The status that says why something could not be read.
#[must_use]
pub fn store_status(error: &StoreError) -> Status {
    let (code, kind) = match error {
        StoreError::Unavailable { why } => unavailable(why),
        StoreError::Invalid(invalid) => (Code::InvalidArgument, Kind::Invalid(broken_rule(invalid))),
        StoreError::ForeignCursor { cursor, head } => {
            let (cursor, head) = (Some((*cursor).into()), Some((*head).into()));
            (Code::OutOfRange, Kind::ForeignCursor(failure::ForeignCursor { cursor, head }))
        }
        StoreError::Corrupt { position, detail } => {
            let (position, detail) = (position.get(), short(detail));
            (Code::DataLoss, Kind::Corrupt(failure::Corrupt { position, detail }))
        }
        StoreError::Closed => (Code::Unavailable, Kind::Closed(failure::Closed {})),
        other => unavailable(&other.to_string()),
    };
    status(code, &error.to_string(), kind)
}

fn unavailable(why: &str) -> (Code, Kind) {
    (Code::Unavailable, Kind::Unavailable(failure::Unavailable { why: short(why) }))
}

pub(crate) fn status(code: Code, message: &str, kind: Kind) -> Status {
    let message = short(message);
    let value = v1::Failure { kind: Some(kind) }.encode_to_vec();
    let details = vec![Any { type_url: TYPE_URL.to_owned(), value }];
    let whole = tonic_types::Status { code: code.into(), message: message.clone(), details };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

fn short(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.split_at(end).0.to_owned() + "…"
}

fn broken_rule(invalid: &Invalid) -> failure::Invalid {
    let rule = |rule: Rule, what: &str, value: &str, actual: usize, limit: usize| failure::Invalid {
        rule: rule.into(),
        what: what.to_owned(),
        value: short(value),
        actual: actual as u64,
        limit: limit as u64,
    };
    match invalid {
        Invalid::Empty { what } => rule(Rule::Empty, what, "", 0, 0),
        Invalid::TooLong { what, bytes, bytes_max } => rule(Rule::TooLong, what, "", *bytes, *bytes_max),
        Invalid::ControlCharacter { what, at } => rule(Rule::ControlCharacter, what, "", *at, 0),
        Invalid::Reserved { what, value } => rule(Rule::Reserved, what, value, 0, 0),
        Invalid::NoCategory { value } => rule(Rule::NoCategory, "", value, 0, 0),
        Invalid::Category { value } => rule(Rule::Category, "", value, 0, 0),
        Invalid::EventVersionZero { name } => rule(Rule::EventVersionZero, "", name, 0, 0),
        Invalid::EmptyAppend => rule(Rule::EmptyAppend, "", "", 0, 0),
        Invalid::EmptyQuery => rule(Rule::EmptyQuery, "", "", 0, 0),
        Invalid::TooMany { what, actual, limit } => rule(Rule::TooMany, what, "", *actual, *limit),
        other => rule(Rule::Other, "", &other.to_string(), 0, 0),
    }
}

/// What a call would have ended with, as a message of its own.
impl From<Status> for v1::Refusal {
    fn from(status: Status) -> Self {
        let (code, message) = (status.code().into(), status.message().to_owned());
        Self { code, message, failure: failure_in(&status) }
    }
}

impl From<v1::Refusal> for Status {
    fn from(refusal: v1::Refusal) -> Self {
        let v1::Refusal { code, message, failure } = refusal;
        match failure.and_then(|failure| failure.kind) {
            Some(kind) => status(code.into(), &message, kind),
            None => Self::new(code.into(), message),
        }
    }
}

/// The failure in the details of a status.
pub(crate) fn failure_in(status: &Status) -> Option<v1::Failure> {
    let whole = tonic_types::Status::decode(status.details()).ok()?;
    let detail = whole.details.into_iter().find(|detail| detail.type_url == TYPE_URL)?;
    v1::Failure::decode(detail.value.as_slice()).ok()
}

/// What a status says that came from a server.
#[derive(Debug)]
pub enum Failed {
    /// The server says so.
    Append(AppendError),
    /// There is no failure in it, or one that this program does not know: it is not from the store, or a server that is
    /// newer says it.
    Other(Status),
}

impl Failed {
    /// Takes a status apart. What the caller asked for is needed to say what was wrong with it.
    #[must_use]
    pub fn of(status: Status, conditions: &[Condition], key: Option<&Key>) -> Self {
        read(&status, conditions, key).map_or(Self::Other(status), Self::Append)
    }

    /// The same of a call that appends nothing.
    ///
    /// # Errors
    /// The status, if there is nothing of the store in it.
    pub fn of_reading(status: Status) -> Result<StoreError, Status> {
        match Self::of(status, &[], None) {
            Self::Append(AppendError::Store(error)) => Ok(error),
            Self::Append(AppendError::Invalid(invalid)) => Ok(StoreError::Invalid(invalid)),
            Self::Append(AppendError::Unavailable { why }) => Ok(StoreError::Unavailable { why }),
            Self::Append(other) => Ok(StoreError::Unavailable { why: other.to_string() }),
            Self::Other(status) => Err(status),
        }
    }
}

fn read(status: &Status, conditions: &[Condition], key: Option<&Key>) -> Option<AppendError> {
    let position = Position::new;
    Some(match failure_in(status)?.kind? {
        Kind::Conflict(conflict) => AppendError::Conflict {
            stream: StreamId::new(conflict.stream).ok()?,
            expected: conflict.expected.map_or(Some(Expected::Any), |expected| expected.try_into().ok())?,
            actual: Version::new(conflict.actual),
        },
        Kind::ConditionFailed(failed) => {
            let number = usize::try_from(failed.number).ok()?;
            let query = conditions.get(number.checked_sub(1)?)?.query.clone();
            AppendError::ConditionFailed { number, query, first: position(failed.first) }
        }
        Kind::KeyReused(_) => AppendError::KeyReused { key: key?.clone() },
        Kind::Invalid(broken) => AppendError::Invalid(rule_of(broken, status.message())),
        Kind::TooLarge(failure::TooLarge { what, actual, limit }) => match known(&what) {
            Some(what) => AppendError::TooLarge { what, actual: count(actual), limit: count(limit) },
            None => AppendError::Invalid(malformed(status.message())),
        },
        Kind::Unavailable(failure::Unavailable { why }) => AppendError::Unavailable { why },
        Kind::Unknown(failure::Unknown { why }) => AppendError::Unknown { why },
        Kind::Poisoned(failure::Poisoned { reason }) => AppendError::Poisoned { reason },
        Kind::ForeignCursor(foreign) => StoreError::ForeignCursor {
            cursor: Cursor::try_from(foreign.cursor?).ok()?,
            head: Cursor::try_from(foreign.head?).ok()?,
        }
        .into(),
        Kind::Corrupt(failure::Corrupt { position: first, detail }) => {
            StoreError::Corrupt { position: position(first), detail }.into()
        }
        Kind::Closed(_) => StoreError::Closed.into(),
        // Of an import, which is not an append.
        Kind::NotImportable(_) => return None,
    })
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn rule_of(broken: failure::Invalid, message: &str) -> Invalid {
    let other = || malformed(message);
    let (actual, limit) = (count(broken.actual), count(broken.limit));
    let (what, value) = (known(&broken.what), broken.value);
    match (Rule::try_from(broken.rule).unwrap_or(Rule::Other), what) {
        (Rule::Empty, Some(what)) => Invalid::Empty { what },
        (Rule::TooLong, Some(what)) => Invalid::TooLong { what, bytes: actual, bytes_max: limit },
        (Rule::ControlCharacter, Some(what)) => Invalid::ControlCharacter { what, at: actual },
        (Rule::Reserved, Some(what)) => Invalid::Reserved { what, value },
        (Rule::TooMany, Some(what)) => Invalid::TooMany { what, actual, limit },
        (Rule::NoCategory, _) => Invalid::NoCategory { value },
        (Rule::Category, _) => Invalid::Category { value },
        (Rule::EventVersionZero, _) => Invalid::EventVersionZero { name: value },
        (Rule::EmptyAppend, _) => Invalid::EmptyAppend,
        (Rule::EmptyQuery, _) => Invalid::EmptyQuery,
        (Rule::Other | Rule::Empty | Rule::TooLong | Rule::ControlCharacter | Rule::Reserved | Rule::TooMany, _) => {
            other()
        }
    }
}

/// What rules and limits speak of, in `annalist-core`'s words: its errors hold them as constants.
const KNOWN: &[&str] = &[
    "bytes of one append",
    "bytes of one event's metadata",
    "bytes of one event's payload",
    "bytes of the reply",
    "category in the query",
    "conditions on one append",
    "content type",
    "event type",
    "event type in the query",
    "events in one append",
    "items in one query",
    "key",
    "key scope",
    "name of a metadata pair",
    "names in one query",
    "stream",
    "streams in one append",
    "tag",
    "tags of one event",
];

fn known(what: &str) -> Option<&'static str> {
    KNOWN.iter().find(|word| **word == what).copied()
}

#[cfg(test)]
mod tests;
