//! What goes wrong, as HTTP says it: problem details (RFC 9457).

use std::{error::Error, fmt, time::Duration};

use annalist::{CommandError, ExecuteError, LoadError, StoreError, projection::ViewError};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::limits::RETRY_AFTER;

/// The media type of a problem.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What stands before the name of a kind in [`Problem::kind`]. It never changes: clients tell problems apart by it.
const KIND_PREFIX: &str = "urn:annalist:problem:";

/// Something that went wrong, for a client: problem details as RFC 9457 defines them. A handler returns it as its error; the
/// errors of commands, views and the store become one by `?`.
///
/// | what | status |
/// |---|---|
/// | the domain rejects ([`ExecuteError::Rejected`]) | 422, kind `rejected` |
/// | the key was used for something else | 422, kind `key-reused` |
/// | others wrote the same at each attempt | 409, with `Retry-After` |
/// | the store or a view cannot be used at present | 503, with `Retry-After` |
/// | whether it was recorded is not known | 503 with the key to try again with; without a key 500, as trying again is not safe |
/// | the deadline passed | 504 |
/// | a layer refuses | 403 |
/// | the command cannot be recorded as it is | 400 |
/// | everything else | 500, with no more than that: what is inside is in the log |
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(flatten)]
    extensions: Map<String, Value>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of no special kind: what the status says.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status,
            detail: None,
            extensions: Map::new(),
            retry_after: None,
        }
    }

    /// The same, of this kind: a short name in kebab case, which clients tell problems apart by and which therefore never
    /// changes; or a URI of your own.
    #[must_use]
    pub fn kind(self, kind: &str, title: impl Into<String>) -> Self {
        let kind = if kind.contains(':') { kind.to_owned() } else { format!("{KIND_PREFIX}{kind}") };
        Self { kind, title: title.into(), ..self }
    }

    /// The same, with what happened this time.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same, with a member of its own. What cannot be written as JSON is left out.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.extensions.insert(name.into(), value);
        }
        self
    }

    /// The same; after so long it may be worth another try. Rounded up to seconds.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// The status that it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What becomes of a command's error, when rejections of the domain are not all a 422: `rejected` says what they are.
    pub fn of<R: Error + 'static>(error: ExecuteError<R>, rejected: impl FnOnce(R) -> Self) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => rejected(rejection),
            ExecuteError::Failed(error) => error.into(),
        }
    }

    /// What the domain rejects, as it is answered unless something else is said of it: a 422 of kind `rejected`.
    pub fn rejected(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY).kind("rejected", "Rejected").detail(why.to_string())
    }

    fn unavailable(why: impl fmt::Display) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE).kind("unavailable", "Not available at present");
        problem.detail(why.to_string()).retry_after(RETRY_AFTER)
    }

    /// What is inside is for the log; a client can do nothing about it.
    fn internal(kind: &str, error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), kind, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR).kind(kind, "Something went wrong inside")
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl<R: Error + 'static> From<ExecuteError<R>> for Problem {
    fn from(error: ExecuteError<R>) -> Self {
        Self::of(error, Self::rejected)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match &error {
            CommandError::Unrecordable(_) => Self::new(StatusCode::BAD_REQUEST)
                .kind("unrecordable", "The command cannot be recorded as it is")
                .detail(chain(&error)),
            CommandError::KeyReused { key } => Self::new(StatusCode::UNPROCESSABLE_ENTITY)
                .kind("key-reused", "The key was used before for something else")
                .detail("use a new Idempotency-Key for a new request")
                .with("key", key.id()),
            CommandError::Contended { .. } => Self::new(StatusCode::CONFLICT)
                .kind("conflict", "Others changed the same")
                .detail("others changed the same at each attempt; try again later")
                .retry_after(RETRY_AFTER),
            CommandError::Unavailable { why } => Self::unavailable(why),
            CommandError::Closed => Self::unavailable("the service is shutting down"),
            CommandError::Unknown { key: Some(key), .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE)
                .kind("outcome-unknown", "It is not known whether it was done")
                .detail("send the same request again with the same Idempotency-Key: it is done once")
                .with("key", key.id())
                .retry_after(RETRY_AFTER),
            CommandError::Unknown { key: None, .. } => Self::internal("outcome-unknown", &error)
                .detail("it is not known whether it was done, and it had no key: look before trying again"),
            CommandError::DeadlineExceeded => Self::new(StatusCode::GATEWAY_TIMEOUT)
                .kind("deadline-exceeded", "There was not enough time")
                .detail("nothing was recorded; try again with more time"),
            CommandError::Refused { why, .. } => {
                Self::new(StatusCode::FORBIDDEN).kind("refused", "Refused").detail(why.to_string())
            }
            CommandError::Load(_) | CommandError::Reply { .. } | CommandError::Store(_) => {
                Self::internal(error.kind(), &error)
            }
            // Kinds that are added later.
            _ => Self::internal("internal", &error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { why } => Self::unavailable(why),
            StoreError::Closed => Self::unavailable("the service is shutting down"),
            StoreError::Invalid(invalid) => Self::new(StatusCode::BAD_REQUEST).detail(invalid.to_string()),
            // Damaged, foreign, and whatever kinds are added.
            _ => Self::internal("store", &error),
        }
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => error.into(),
            LoadError::Id(invalid) => Self::new(StatusCode::BAD_REQUEST).detail(invalid.to_string()),
            // Unreadable, and whatever kinds are added.
            error => Self::internal("load", &error),
        }
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        // Which of them it is is for the log; what a client does about each is the same.
        tracing::warn!(error = %chain(&error), "a view could not be read");
        Self::unavailable("a view is not up to date")
    }
}

impl From<annalist_core::Invalid> for Problem {
    fn from(error: annalist_core::Invalid) -> Self {
        Self::new(StatusCode::BAD_REQUEST).detail(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Maps, strings and numbers can be written.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if let Some(retry_after) = self.retry_after {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.title)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl Error for Problem {}

#[cfg(test)]
mod tests {
    use annalist::Key;
    use serde_json::json;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("only 5 left")]
    struct TooFew;

    async fn sent(problem: impl Into<Problem>) -> (u16, Option<String>, Value) {
        let response = problem.into().into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        let status = response.status().as_u16();
        let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, retry, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_rejection_says_why() {
        let expected = json!({"type": "urn:annalist:problem:rejected", "title": "Rejected", "status": 422, "detail": "only 5 left"});
        assert_eq!(sent(ExecuteError::Rejected(TooFew)).await, (422, None, expected));
        let own =
            |TooFew| Problem::new(StatusCode::CONFLICT).kind("https://shop.example/too-few", "Too few").with("left", 5);
        let expected = json!({"type": "https://shop.example/too-few", "title": "Too few", "status": 409, "left": 5});
        assert_eq!(sent(Problem::of(ExecuteError::Rejected(TooFew), own)).await, (409, None, expected));
    }

    #[tokio::test]
    async fn each_error_says_what_to_do() {
        let key = Key::new("account-alice", "request-1").unwrap();
        let why = || "the disk is full".to_owned();
        let second = Some("1".to_owned());
        for (error, status, retry, kind) in [
            (CommandError::KeyReused { key: key.clone() }, 422, None, "key-reused"),
            (CommandError::Unavailable { why: why() }, 503, second.clone(), "unavailable"),
            (CommandError::Closed, 503, second.clone(), "unavailable"),
            (CommandError::Unknown { key: Some(key), why: why() }, 503, second, "outcome-unknown"),
            (CommandError::Unknown { key: None, why: why() }, 500, None, "outcome-unknown"),
            (CommandError::DeadlineExceeded, 504, None, "deadline-exceeded"),
            (CommandError::Refused { by: "policy", why: "not you".into() }, 403, None, "refused"),
            (CommandError::Unrecordable("too long".into()), 400, None, "unrecordable"),
        ] {
            let (actual, after, body) = sent(error).await;
            assert_eq!(
                (actual, after, &body["type"]),
                (status, retry, &json!(format!("{KIND_PREFIX}{kind}"))),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_inside_stays_inside() {
        let (status, _, body) =
            sent(StoreError::Corrupt { position: annalist::Position::MAX, detail: "secret".into() }).await;
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
