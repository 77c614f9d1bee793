//! What a dependency, or a fallback in its place, answers.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};

use super::CallError;

/// An answer. That of a fallback says so: [`Answer::degraded`].
#[derive(Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    degraded: Option<Arc<CallError>>,
}

impl Answer {
    /// An answer in the dependency's place, for a fallback: this, as JSON, with status 200.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> serde_json::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::to_vec(value)?.into();
        Ok(Self { status: StatusCode::OK, headers, body, degraded: None })
    }

    /// An answer without a body, for a fallback.
    #[must_use]
    pub fn status_only(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), degraded: None }
    }

    /// The status: below 500, unless a fallback says otherwise.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// When it is none, or not of this shape.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Why this is a fallback's answer, if it is one.
    #[must_use]
    pub fn degraded(&self) -> Option<&CallError> {
        self.degraded.as_deref()
    }

    pub(super) fn because(self, why: Arc<CallError>) -> Self {
        Self { degraded: Some(why), ..self }
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body, degraded: None }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("degraded", &self.degraded)
            .finish_non_exhaustive()
    }
}
