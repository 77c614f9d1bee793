//! Events as lines: CloudEvents 1.0 in JSON, one for each line, from which the same events come back, byte by byte.
//!
//! Attributes that the standard does not know are texts, as it wants: `streamversion`, `position`, `tags` (a JSON array), `pairs`
//! (a JSON object), and the fields of the metadata. `subject` is the stream.

use std::{borrow::Cow, collections::BTreeMap};

use annalist_core::{
    ContentType, EventId, EventType, Invalid, Metadata, NewEvent, RecordedEvent, StoreId, StreamId, Tag, Timestamp,
    Version,
};
use annalist_store::PastEvent;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

const JSON: &str = "application/json";

/// A line. What it does not know is refused: it would be lost without a word.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: Uuid,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(default = "first_version")]
    typeversion: u16,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    streamversion: Cow<'a, str>,
    /// Where it stood in the log that it comes from.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    position: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlationid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causationid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pairs: Option<String>,
    #[serde(borrow, default = "json_type")]
    datacontenttype: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<Cow<'a, str>>,
}

/// `null` is data like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

const fn first_version() -> u16 {
    1
}

const fn json_type() -> Cow<'static, str> {
    Cow::Borrowed(JSON)
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("it is no CloudEvent as `annalist export` writes it: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("`{attribute}` is `{value}`, which is not {wanted}")]
    Attribute { attribute: &'static str, value: String, wanted: &'static str },
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// The line of an event, without its end.
pub(crate) fn line(event: &RecordedEvent, store: StoreId) -> Result<String, LineError> {
    let Metadata { correlation_id, causation_id, actor, tenant, traceparent, tracestate, pairs } = event.metadata();
    let tags: Vec<&str> = event.tags().collect();
    let data = embedded(event);
    let line = Line {
        specversion: "1.0".into(),
        id: event.id.uuid(),
        source: source(store).into(),
        event_type: event.type_name().into(),
        typeversion: event.type_version(),
        subject: event.stream().into(),
        time: event.time.to_string().into(),
        streamversion: event.version.to_string().into(),
        position: Some(event.position.to_string().into()),
        tags: if tags.is_empty() { None } else { Some(serde_json::to_string(&tags)?) },
        correlationid: correlation_id,
        causationid: causation_id,
        actor,
        tenant,
        traceparent,
        tracestate,
        pairs: if pairs.is_empty() { None } else { Some(serde_json::to_string(&pairs)?) },
        datacontenttype: event.content_type().into(),
        data,
        data_base64: data.is_none().then(|| BASE64_STANDARD.encode(event.payload()).into()),
    };
    Ok(serde_json::to_string(&line)?)
}

/// What `source` says of a store.
fn source(store: StoreId) -> String {
    format!("urn:annalist:{store}")
}

/// The payload as it stands, if it is JSON that fits into a line without a change.
fn embedded(event: &RecordedEvent) -> Option<&RawValue> {
    let payload = event.payload();
    let fits = event.content_type() == JSON && !payload.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    let value: &RawValue = serde_json::from_slice(payload).ok().filter(|_| fits)?;
    // White space around it would be lost.
    (value.get().len() == payload.len()).then_some(value)
}

/// The event of a line.
pub(crate) fn past_event(line: &str) -> Result<PastEvent, LineError> {
    let line: Line<'_> = serde_json::from_str(line)?;
    let wrong = |attribute, value: &str, wanted| LineError::Attribute { attribute, value: value.to_owned(), wanted };
    if line.specversion != "1.0" {
        return Err(wrong("specversion", &line.specversion, "1.0"));
    }
    let version = line.streamversion.parse().map_err(|_| wrong("streamversion", &line.streamversion, "a number"))?;
    let time: Timestamp = line.time.parse().map_err(|_| wrong("time", &line.time, "a time (RFC 3339)"))?;
    let payload = match (line.data, &line.data_base64) {
        (Some(data), None) => data.get().as_bytes().to_vec(),
        (None, Some(encoded)) => {
            BASE64_STANDARD.decode(encoded.as_bytes()).map_err(|_| wrong("data_base64", "it", "base64"))?
        }
        _ => return Err(wrong("data", "there", "given once, as `data` or as `data_base64`")),
    };
    let tags: Vec<String> = line.tags.as_deref().map_or(Ok(Vec::new()), serde_json::from_str)?;
    let tags = tags.into_iter().map(Tag::new).collect::<Result<Vec<_>, _>>()?;
    let event_type = EventType::versioned(line.event_type.into_owned(), line.typeversion)?;
    let mut event = NewEvent::new(EventId::new(line.id), event_type, payload)
        .with_tags(tags)
        .with_content_type(ContentType::new(line.datacontenttype.into_owned())?);
    event.metadata = Metadata {
        correlation_id: line.correlationid,
        causation_id: line.causationid,
        actor: line.actor,
        tenant: line.tenant,
        traceparent: line.traceparent,
        tracestate: line.tracestate,
        pairs: line.pairs.as_deref().map_or(Ok(BTreeMap::new()), serde_json::from_str)?,
    };
    Ok(PastEvent { stream: StreamId::new(line.subject.into_owned())?, version: Version::new(version), time, event })
}

/// Which store a line is from, and where it stood there.
pub(crate) fn origin(line: &str, store: StoreId) -> Option<u64> {
    let line: Line<'_> = serde_json::from_str(line).ok()?;
    line.position.filter(|_| line.source == source(store))?.parse().ok()
}
