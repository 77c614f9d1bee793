//! By what a repeated request is recognised.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{Method, StatusCode, request::Parts},
};

use crate::{limits::IDEMPOTENCY_KEY_BYTES_MAX, problem::Problem, request::IDEMPOTENCY_KEY};

/// The `Idempotency-Key` of a request, for the key of its command: `app.on::<Account>(id).execute(withdraw).key(key)`. A
/// request that comes again with its key is then answered as the first time; the same key with other content is refused with
/// 422, and while the first is being answered a second gets 409.
///
/// A handler that takes it requires it: without one the answer is 400. Take `Option<IdempotencyKey>` to do without.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header: a string in quotes, as the standard's draft has it, or the same without.
    fn parse(value: &str) -> Option<Self> {
        let key = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => value.to_owned(),
        };
        let allowed = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        ((1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && allowed).then_some(Self(key))
    }

    fn of(parts: &Parts) -> Result<Option<Self>, Problem> {
        let malformed = || {
            let problem =
                Problem::new(StatusCode::BAD_REQUEST).kind("key-malformed", "The Idempotency-Key is malformed");
            problem.detail(format!("send one string of 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters"))
        };
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().and_then(Self::parse);
        if values.next().is_some() {
            return Err(malformed());
        }
        key.map(Some).ok_or_else(malformed)
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

/// What stands before the closing quote, with what is escaped.
fn unquote(quoted: &str) -> Option<String> {
    let mut chars = quoted.strip_suffix('"')?.chars();
    let mut key = String::new();
    while let Some(char) = chars.next() {
        match char {
            '"' => return None,
            '\\' => key.push(chars.next().filter(|char| matches!(char, '"' | '\\'))?),
            char => key.push(char),
        }
    }
    Some(key)
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || {
            let problem = Problem::new(StatusCode::BAD_REQUEST).kind("key-missing", "The Idempotency-Key is missing");
            problem.detail("send a header Idempotency-Key, and the same again when the request is repeated")
        };
        Self::of(parts)?.ok_or_else(missing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::of(parts)
    }
}

/// The keyed requests that are being answered. There are never more than requests at the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Mutex<HashSet<String>>>);

impl InFlight {
    /// Enters a request, if it has a key and is not there yet; it is there until the guard is dropped.
    pub(super) fn enter(&self, parts: &Parts) -> Result<Option<Entered>, Problem> {
        if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
            return Ok(None);
        }
        let Some(key) = IdempotencyKey::of(parts)? else { return Ok(None) };
        // Neither a method nor a path has a space.
        let name = format!("{} {} {}", parts.method, parts.uri.path(), key.as_str());
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            let problem = Problem::new(StatusCode::CONFLICT).kind("in-flight", "The same request is being answered");
            return Err(problem
                .detail("wait for its answer, or ask again later")
                .retry_after(crate::limits::RETRY_AFTER));
        }
        Ok(Some(Entered { all: self.clone(), name }))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Entered {
    all: InFlight,
    name: String,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
