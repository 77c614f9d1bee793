//! Appending, and what is recorded under a key.

use std::sync::Arc;

use annalist_core::{
    Append, Appended, Condition, Entry, EventStore as _, Expected, Fingerprint, Key, Keyed, NewEvent, StreamId, Version,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Query as Parameters, State, rejection::BytesRejection, rejection::QueryRejection},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, cursor,
    events::EventIn,
    problem::Problem,
    query::QueryIn,
    schema::{CursorText, Name, StreamName},
};
use crate::principal::Principal;

/// Events for one or several streams, recorded together or not at all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppendIn {
    /// What is written and what is guarded, in order.
    #[serde(default)]
    #[schema(max_items = 1024)]
    entries: Vec<EntryIn>,
    /// What must not be in the log.
    #[serde(default)]
    #[schema(max_items = 16)]
    conditions: Vec<ConditionIn>,
    /// Makes it recognisable when it comes again: it is recorded once, and a repetition is answered with what was recorded.
    key: Option<KeyIn>,
}

/// One stream's part of an append. Without events it is a guard.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EntryIn {
    /// The stream: `category-identifier`.
    #[schema(value_type = StreamName)]
    stream: String,
    /// What the stream must look like. Default: anything.
    expected: Option<ExpectedIn>,
    /// What is added to it, in order.
    #[serde(default)]
    events: Vec<EventIn>,
}

/// What a stream must look like: a word, or the version of its last event.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum ExpectedIn {
    /// A version; 0: no events.
    Version(u64),
    /// `any`, `no-stream`, `stream-exists`.
    Word(ExpectedWord),
}

/// What a stream must look like.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum ExpectedWord {
    /// Anything.
    Any,
    /// It has no events.
    NoStream,
    /// It has events.
    StreamExists,
}

/// Something that must not be in the log: any event that matches the query behind the cursor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConditionIn {
    /// Which events.
    query: QueryIn,
    /// A cursor, such as the `head` of a read. Default: none at all may be there.
    #[schema(value_type = Option<CursorText>)]
    after: Option<String>,
}

/// An identifier, unique within a scope.
#[derive(Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyIn {
    /// Who numbers.
    #[schema(value_type = Name)]
    #[param(value_type = Name)]
    scope: String,
    /// What identifies the append within the scope.
    #[schema(value_type = Name)]
    #[param(value_type = Name)]
    id: String,
}

/// What was recorded.
#[derive(Serialize, ToSchema)]
pub(super) struct AppendedOut {
    /// The position before the first recorded event.
    after: u64,
    /// The position of the last recorded event.
    position: u64,
    /// The same as a cursor.
    cursor: String,
    /// The streams that were written.
    streams: Vec<StreamOut>,
    /// Whether this is the answer to a repetition: recorded before, not now.
    repeated: bool,
}

/// A stream that was written.
#[derive(Serialize, ToSchema)]
struct StreamOut {
    /// Its name.
    stream: String,
    /// Its last version.
    version: u64,
}

impl From<Appended> for AppendedOut {
    fn from(appended: Appended) -> Self {
        let written =
            |(stream, version): (StreamId, Version)| StreamOut { stream: stream.to_string(), version: version.get() };
        Self {
            after: appended.after.get(),
            position: appended.cursor.position.get(),
            cursor: appended.cursor.to_string(),
            streams: appended.streams.into_iter().map(written).collect(),
            repeated: appended.repeated,
        }
    }
}

/// What is recorded under a key.
#[derive(Serialize, ToSchema)]
pub(super) struct OutcomeOut {
    /// The reply that was recorded with it, in base64.
    reply_base64: String,
    /// What was recorded.
    appended: AppendedOut,
}

/// A body as JSON, whatever its type is said to be: `curl -d` says it is a form.
pub(super) fn json<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|rejection| Problem::body(rejection.status(), &rejection.body_text()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::malformed(format!("the body is not as it should be: {error}")))
}

/// Records an append whole or not at all.
#[utoipa::path(
    post, path = "/v1/append", request_body = AppendIn,
    responses(
        (status = 200, description = "It is recorded, durably.", body = AppendedOut),
        (status = "default", description = "It was refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn append(
    State(api): State<Api>,
    Extension(who): Extension<Arc<Principal>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AppendedOut>, Problem> {
    let AppendIn { entries, conditions, key } = json(body)?;
    let mut append = Append::new();
    for entry in entries {
        let events = entry.events.into_iter().map(NewEvent::try_from).collect::<Result<_, _>>()?;
        let expected = match entry.expected {
            None | Some(ExpectedIn::Word(ExpectedWord::Any)) => Expected::Any,
            Some(ExpectedIn::Word(ExpectedWord::NoStream)) => Expected::NoStream,
            Some(ExpectedIn::Word(ExpectedWord::StreamExists)) => Expected::StreamExists,
            Some(ExpectedIn::Version(version)) => Expected::Exact(Version::new(version)),
        };
        append.entries.push(Entry { stream: StreamId::new(entry.stream)?, expected, events });
    }
    let head = api.store.head().await?;
    for condition in conditions {
        let after = cursor::parse(&condition.after.unwrap_or_default(), head)?;
        append.conditions.push(Condition { query: condition.query.try_into()?, after });
    }
    if let Some(key) = key {
        let fingerprint = fingerprint(&append);
        append.keyed = Some(Keyed { key: Key::new(key.scope, key.id)?, fingerprint, reply: Bytes::new() });
    }
    who.may_append(&append)?;
    Ok(Json(api.store.append(append).await?.into()))
}

/// A hash of what an append asks for, by which the server knows a repetition under the same key. Ids of events and metadata are
/// left out: they may be others when it is asked again.
#[must_use]
pub fn fingerprint(append: &Append) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for entry in &append.entries {
        add(entry.stream.as_str().as_bytes());
        add(entry.expected.to_string().as_bytes());
        add(&entry.events.len().to_le_bytes());
        for event in &entry.events {
            add(event.event_type.to_string().as_bytes());
            add(event.content_type.as_str().as_bytes());
            add(&event.tags.len().to_le_bytes());
            event.tags.iter().for_each(|tag| add(tag.as_str().as_bytes()));
            add(&event.payload);
        }
    }
    for condition in &append.conditions {
        add(condition.query.to_string().as_bytes());
        add(condition.after.to_string().as_bytes());
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(whole.split_at(16).0);
    Fingerprint::new(half)
}

/// What is recorded under a key.
#[utoipa::path(
    get, path = "/v1/outcome", params(KeyIn),
    responses(
        (status = 200, description = "What was recorded.", body = OutcomeOut),
        (status = "default", description = "The key is free (404), or it cannot be told.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn outcome(
    State(api): State<Api>,
    key: Result<Parameters<KeyIn>, QueryRejection>,
) -> Result<Json<OutcomeOut>, Problem> {
    let Parameters(KeyIn { scope, id }) = key.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let key = Key::new(scope, id)?;
    let found = api.store.outcome(&key).await?;
    let outcome = found.ok_or_else(|| Problem::not_found(&format!("the key `{key}`")))?;
    let reply_base64 = BASE64_STANDARD.encode(&outcome.reply);
    Ok(Json(OutcomeOut { reply_base64, appended: outcome.appended.into() }))
}
