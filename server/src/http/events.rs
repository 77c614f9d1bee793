//! Events as JSON.

use annalist_core::{ContentType, EventId, EventType, Invalid, Metadata, NewEvent, RecordedEvent, Tag};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    problem::Problem,
    schema::{Name, TypeName},
};

/// An event on its way into the log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventIn {
    /// Its identity, a UUID. Default: one that the server makes.
    #[schema(value_type = Option<String>, format = "uuid")]
    id: Option<Uuid>,
    /// The declared name of its type; at most 255 bytes, not beginning with `$`.
    #[serde(rename = "type")]
    #[schema(value_type = TypeName)]
    kind: String,
    /// The version of its payload's shape. Default: 1.
    #[schema(minimum = 1)]
    type_version: Option<u16>,
    /// Marks by which it can be found.
    #[serde(default)]
    #[schema(value_type = Vec<Name>, max_items = 32)]
    tags: Vec<String>,
    /// Its circumstances: `correlation_id`, `causation_id`, `actor`, `tenant`, `traceparent`, `tracestate`, and `pairs` of text.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// Its payload, if that is JSON; recorded to the letter.
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    /// Its payload, if that is something else, in base64.
    data_base64: Option<String>,
    /// How the payload is encoded. Default: `application/json`, or `application/octet-stream` with `data_base64`.
    #[schema(value_type = Option<TypeName>)]
    content_type: Option<String>,
}

impl TryFrom<EventIn> for NewEvent {
    type Error = Problem;
    fn try_from(event: EventIn) -> Result<Self, Problem> {
        let (payload, default) = match (event.data, event.data_base64) {
            (Some(json), None) => (Bytes::from(String::from(Box::<str>::from(json))), ContentType::JSON),
            (None, Some(text)) => {
                let bytes = BASE64_STANDARD.decode(text);
                let wrong = |error| Problem::malformed(format!("`data_base64` is not base64: {error}"));
                (bytes.map_err(wrong)?.into(), ContentType::BYTES)
            }
            _ => return Err(Problem::malformed("an event has either `data` or `data_base64`; give it one of them")),
        };
        let tags = event.tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, Invalid>>()?;
        let content_type = event.content_type.map_or(Ok(default), ContentType::new)?;
        let kind = EventType::versioned(event.kind, event.type_version.unwrap_or(1))?;
        let id = event.id.map_or_else(EventId::generate, EventId::new);
        Ok(Self::new(id, kind, payload).with_tags(tags).with_metadata(event.metadata).with_content_type(content_type))
    }
}

/// An event as the log holds it.
#[derive(Serialize, ToSchema)]
pub(super) struct EventOut {
    /// Its place in the log.
    position: u64,
    /// Its stream.
    stream: String,
    /// Its place in its stream.
    version: u64,
    /// The declared name of its type.
    #[serde(rename = "type")]
    kind: String,
    /// The version of its payload's shape.
    type_version: u16,
    /// Its identity.
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// When it was recorded.
    #[schema(format = "date-time")]
    time: String,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    /// Its circumstances.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// How the payload is encoded.
    content_type: String,
    /// Its payload, if that is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
    /// Its payload, if that is something else, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

impl From<&RecordedEvent> for EventOut {
    fn from(event: &RecordedEvent) -> Self {
        let is_json = event.content_type() == ContentType::JSON.as_str();
        let data = is_json.then(|| std::str::from_utf8(event.payload()).ok().map(str::to_owned)).flatten();
        let data = data.and_then(|text| RawValue::from_string(text).ok());
        Self {
            position: event.position.get(),
            stream: event.stream().to_owned(),
            version: event.version.get(),
            kind: event.type_name().to_owned(),
            type_version: event.type_version(),
            id: event.id.uuid(),
            time: event.time.to_string(),
            tags: event.tags().map(str::to_owned).collect(),
            metadata: event.metadata(),
            content_type: event.content_type().to_owned(),
            data_base64: data.is_none().then(|| BASE64_STANDARD.encode(event.payload())),
            data,
        }
    }
}
