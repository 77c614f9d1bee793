//! Work that takes longer than a request may: accepted now, asked about later.

use std::{fmt::Write, future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{limits::RETRY_AFTER, problem::Problem};

/// The answer to a request for work that goes on after it: 202, and where to ask how it stands, `/operations/{id}`. Answer so
/// only when the work is recorded, a saga's first event for example, so that a restart does not forget it; its id is a good
/// id of the operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    id: String,
}

impl Accepted {
    /// The operation `id` is under way.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into() }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let location = format!("/operations/{}", encoded(&self.id));
        let mut response =
            (StatusCode::ACCEPTED, Json(json!({ "id": self.id, "operation": location }))).into_response();
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// One segment of a path: what is not a letter, a digit or one of `-._~` as `%XX`.
fn encoded(id: &str) -> String {
    let mut segment = String::new();
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(char::from(byte)),
            // Writing to a string does not fail.
            byte => _ = write!(segment, "%{byte:02X}"),
        }
    }
    segment
}

/// How an operation stands.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation {
    /// It is under way.
    Running,
    /// It is done, with this result.
    Succeeded(Value),
    /// It is over, and this went wrong.
    Failed(Problem),
}

impl Operation {
    /// It is done, with this result. What cannot be written as JSON is null.
    #[must_use]
    pub fn succeeded(result: impl Serialize) -> Self {
        Self::Succeeded(serde_json::to_value(result).unwrap_or_default())
    }

    fn answer(self, id: &str) -> Response {
        match self {
            Self::Running => {
                let retry_after = [(header::RETRY_AFTER, RETRY_AFTER.as_secs().to_string())];
                (retry_after, Json(json!({ "id": id, "status": "running" }))).into_response()
            }
            Self::Succeeded(result) => {
                Json(json!({ "id": id, "status": "succeeded", "result": result })).into_response()
            }
            Self::Failed(problem) => Json(json!({ "id": id, "status": "failed", "problem": problem })).into_response(),
        }
    }
}

/// The route `/operations/{id}`.
pub(crate) fn operations<F>(find: impl Fn(String) -> F + Send + Sync + 'static) -> Router
where
    F: Future<Output = Result<Option<Operation>, Problem>> + Send + 'static,
{
    let find = Arc::new(find);
    let answer = move |Path(id): Path<String>| {
        let find = Arc::clone(&find);
        async move {
            let none = || Problem::new(StatusCode::NOT_FOUND).kind("no-operation", "There is no such operation");
            let operation = find(id.clone()).await?.ok_or_else(none)?;
            Ok::<_, Problem>(operation.answer(&id))
        }
    };
    Router::new().route("/operations/{id}", get(answer))
}
