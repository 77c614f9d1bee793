//! What went wrong with a request, as RFC 9457 says it.

use std::fmt::Display;

use annalist_core::{AppendError, Invalid, StoreError};
use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::principal::Denied;

/// What went wrong, as RFC 9457 says it. `type` is a name for each thing that a caller would do about it.
#[derive(Serialize, ToSchema, Debug)]
pub(crate) struct Problem {
    /// Which kind: `urn:annalist:problem:conflict`, `condition-failed`, `key-reused`, `invalid`, `too-large`, `unavailable`,
    /// `unknown`, `poisoned`, `foreign-cursor`, `corrupt`, `not-found`, `method-not-allowed`, `denied`.
    #[serde(rename = "type")]
    kind: String,
    /// The kind, for people.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    #[serde(flatten)]
    more: Box<More>,
}

/// What a program may want to know besides.
#[derive(Serialize, ToSchema, Debug, Default)]
struct More {
    /// Of a conflict: the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    /// Of a conflict: the last version of the stream; of a failed condition: the first position that matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<u64>,
    /// Of a failed condition: which one, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<usize>,
    /// Of a foreign cursor: the head of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
}

/// After how many seconds somebody may come again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

impl Problem {
    fn new(status: StatusCode, kind: &str, title: &'static str, detail: &dyn ToString) -> Self {
        let (kind, status) = (format!("urn:annalist:problem:{kind}"), status.as_u16());
        Self { kind, title, status, detail: detail.to_string(), more: Box::default() }
    }

    fn with(self, more: More) -> Self {
        Self { more: Box::new(more), ..self }
    }

    /// A request that cannot be understood.
    pub(super) fn malformed(why: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", "The request breaks a rule", &why)
    }

    pub(super) fn not_found(path: &str) -> Self {
        let detail = format!("there is nothing at {path}; /openapi.json lists what is there");
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", &detail)
    }

    /// Somebody who may not.
    pub(crate) fn denied(status: StatusCode, why: &str) -> Self {
        Self::new(status, "denied", "This is not allowed", &why)
    }

    /// A body that could not be taken.
    pub(super) fn body(status: StatusCode, why: &str) -> Self {
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(status, "too-large", "The request exceeds a limit", &why);
        }
        Self::malformed(why)
    }
}

/// Another method is answered here.
pub(super) async fn method_not_allowed() -> Problem {
    let detail = "another method is answered here; /openapi.json says which";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not answered", &detail)
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Self::denied(StatusCode::FORBIDDEN, &denied.into_why())
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::malformed(invalid)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Invalid(invalid) => Self::malformed(invalid),
            StoreError::ForeignCursor { head, .. } => {
                let title = "The cursor does not belong to this log";
                let head = Some(head.to_string());
                Self::new(StatusCode::GONE, "foreign-cursor", title, &error).with(More { head, ..More::default() })
            }
            StoreError::Corrupt { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "corrupt", "Stored bytes are damaged", &error)
            }
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "It cannot be done now", &error),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { ref stream, actual, .. } => {
                let (stream, actual) = (Some(stream.to_string()), Some(actual.get()));
                Self::new(StatusCode::CONFLICT, "conflict", "A stream is not as expected", &error).with(More {
                    stream,
                    actual,
                    ..More::default()
                })
            }
            AppendError::ConditionFailed { number, first, .. } => {
                let (condition, actual) = (Some(number), Some(first.get()));
                Self::new(StatusCode::CONFLICT, "condition-failed", "A condition does not hold", &error).with(More {
                    actual,
                    condition,
                    ..More::default()
                })
            }
            AppendError::KeyReused { .. } => {
                let title = "The key was used for another request";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", title, &error)
            }
            AppendError::Invalid(invalid) => invalid.into(),
            AppendError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request exceeds a limit", &error)
            }
            AppendError::Unknown { .. } => {
                let title = "Whether it was recorded is not known";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unknown", title, &error)
            }
            AppendError::Poisoned { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "poisoned", "The store takes no more", &error)
            }
            AppendError::Store(error) => error.into(),
            other => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "It cannot be done now", &other),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}
