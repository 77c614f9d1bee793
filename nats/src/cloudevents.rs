//! CloudEvents as they come from a stream: in binary mode, as outboxes write them, and in structured mode.

use std::collections::BTreeMap;

use annalist::inbox::{Incoming, Malformed};
use async_nats::{HeaderMap, HeaderValue};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::headers;

/// What every CloudEvents media type begins with.
const MEDIA_TYPE: &str = "application/cloudevents";

/// Reads a message, in the mode that its headers say.
pub(crate) fn decode(headers: &HeaderMap, data: &Bytes) -> Result<Incoming, Malformed> {
    // The binding asks readers not to care about the case of names; NATS itself does.
    let lower = |(name, values): (_, &Vec<HeaderValue>)| {
        Some((headers::text(name).to_ascii_lowercase(), values.last()?.as_str().to_owned()))
    };
    let headers: BTreeMap<String, String> = headers.iter().filter_map(lower).collect();
    let media_type = headers.get("content-type").map(|value| value.trim().to_ascii_lowercase());
    let decoded = match media_type.as_deref().and_then(|media_type| media_type.strip_prefix(MEDIA_TYPE)) {
        Some(rest) if rest.starts_with("-batch") => Err("batches of events are not defined for NATS".to_owned()),
        Some(_) => structured(data),
        None => binary(&headers, data),
    };
    let malformed = |detail| Malformed { detail, data: data.clone() };
    decoded.and_then(|(attributes, data)| incoming(attributes, data, &headers)).map_err(malformed)
}

type Decoded = Result<(BTreeMap<String, String>, Bytes), String>;

fn binary(headers: &BTreeMap<String, String>, data: &Bytes) -> Decoded {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.strip_prefix("ce-") else { continue };
        let decoded = headers::percent_decoded(value).ok_or_else(|| format!("the header `ce-{name}` is not UTF-8"))?;
        attributes.insert(name.to_owned(), decoded);
    }
    Ok((attributes, data.clone()))
}

fn structured(data: &Bytes) -> Decoded {
    let event: Map<String, Value> = serde_json::from_slice(data).map_err(|error| format!("its JSON: {error}"))?;
    let (mut attributes, mut payload) = (BTreeMap::new(), Bytes::new());
    let json = is_json(event.get("datacontenttype").and_then(Value::as_str));
    for (name, value) in event {
        match (&*name, value) {
            ("data_base64", Value::String(text)) => {
                payload = STANDARD.decode(text).map_err(|error| format!("its `data_base64`: {error}"))?.into();
            }
            ("data", Value::String(text)) if !json => payload = text.into(),
            ("data", value) => payload = value.to_string().into(),
            (_, Value::Null) => {}
            (_, Value::String(text)) => _ = attributes.insert(name.to_ascii_lowercase(), text),
            (_, value) => _ = attributes.insert(name.to_ascii_lowercase(), value.to_string()),
        }
    }
    Ok((attributes, payload))
}

/// Whether data of this media type is JSON; data without one is.
fn is_json(media_type: Option<&str>) -> bool {
    let Some(media_type) = media_type else { return true };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn incoming(
    mut attributes: BTreeMap<String, String>,
    data: Bytes,
    headers: &BTreeMap<String, String>,
) -> Result<Incoming, String> {
    let mut required = |name: &str| match attributes.remove(name) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(format!("it has no attribute `{name}`")),
    };
    let version = required("specversion")?;
    if version != "1.0" {
        return Err(format!("it is of CloudEvents version `{version}`, only `1.0` is known"));
    }
    let mut message = Incoming::new(required("id")?, required("source")?, required("type")?);
    message.subject = attributes.remove("subject");
    message.time = attributes.remove("time");
    message.content_type = attributes.remove("datacontenttype");
    message.metadata.correlation_id = attributes.remove("correlationid");
    message.metadata.causation_id = attributes.remove("causationid");
    // What a tracer has put beside the event is nearer than what the event says of its creation.
    let mut trace = |name: &str| headers.get(name).cloned().or_else(|| attributes.remove(name));
    message.metadata.traceparent = trace("traceparent");
    message.metadata.tracestate = trace("tracestate");
    message.attributes = attributes;
    message.data = data;
    Ok(message)
}

#[cfg(test)]
mod tests;
