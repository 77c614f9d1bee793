//! What stands in the headers of a message.
//!
//! The CloudEvents attributes stand in headers `ce-…`, lower-case, percent-encoded (binary mode of the CloudEvents NATS
//! binding); the trace context in the plain W3C headers; what the outbox needs to find its place again in `es-…`.
//! NATS keeps the case of header names and compares bytes; readers here do not care about case, as the binding asks.

use annalist::outbox::{Message, Published};
use annalist_core::{Cursor, Epoch, EventId, Position, StoreId};
use async_nats::{HeaderMap, HeaderName, HeaderValue, header};

use crate::subject::push_percent;

/// All headers of a message that is to be stored in `stream` behind the message number `behind`.
pub(crate) fn encode(message: &Message, source: &str, stream: &str, behind: u64) -> HeaderMap {
    let Message { cursor, event, metadata, .. } = message;
    let id = message.id();
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, &*id);
    headers.insert(header::NATS_EXPECTED_STREAM, stream);
    headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, HeaderValue::from(behind));

    let mut put = |name, value: &str| headers.insert(HeaderName::from_static(name), percent_encoded(value));
    put("ce-specversion", "1.0");
    put("ce-id", &id);
    put("ce-source", source);
    put("ce-type", &event.event_type);
    put("ce-subject", &event.subject);
    put("ce-time", &message.time.to_string());
    put("ce-datacontenttype", event.content_type);
    put("ce-sequence", &message.version.to_string());
    put("es-store", &cursor.store.to_string());
    put("es-epoch", &cursor.epoch.to_string());
    put("es-position", &cursor.position.to_string());
    put("es-ordinal", &message.ordinal.to_string());
    put("es-event", &message.event_id.to_string());
    put("es-stream", &message.stream);
    for (name, value) in [("ce-correlationid", &metadata.correlation_id), ("ce-causationid", &metadata.causation_id)] {
        if let Some(value) = value {
            put(name, value);
        }
    }
    for (name, value) in [("traceparent", &metadata.traceparent), ("tracestate", &metadata.tracestate)] {
        // As it is or not at all: a tracer does not decode percent signs.
        if let Some(value) = value.as_deref().filter(|value| value.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// What a message says of its origin; `None` if no outbox has written it.
pub(crate) fn origin(headers: &HeaderMap) -> Option<Published> {
    let store = StoreId::new(get(headers, "es-store")?.parse().ok()?);
    let epoch = Epoch::new(get(headers, "es-epoch")?.parse().ok()?);
    let position = Position::new(get(headers, "es-position")?.parse().ok()?);
    let ordinal = get(headers, "es-ordinal")?.parse().ok()?;
    let event_id = EventId::new(get(headers, "es-event")?.parse().ok()?);
    Some(Published { cursor: Cursor { store, epoch, position }, ordinal, event_id })
}

/// A header, whatever the case of its name.
fn get<'a>(headers: &'a HeaderMap, name: &'static str) -> Option<&'a str> {
    let exact = headers.get(HeaderName::from_static(name));
    let value = exact.or_else(|| {
        let mut all = headers.iter();
        all.find(|(other, _)| text(other).eq_ignore_ascii_case(name))?.1.last()
    });
    value.map(HeaderValue::as_str)
}

/// The name of a header as text.
pub(crate) fn text(name: &HeaderName) -> &str {
    name.as_ref()
}

/// The bytes that headers take on the wire.
pub(crate) fn byte_count(headers: &HeaderMap) -> usize {
    const FRAME: usize = "NATS/1.0\r\n\r\n".len();
    let line = |name: &HeaderName, value: &HeaderValue| text(name).len() + value.as_str().len() + ": \r\n".len();
    let lines = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| line(name, value)));
    FRAME + lines.sum::<usize>()
}

/// As the CloudEvents NATS binding has it: everything but the printable ASCII characters, and of these the blank, `"`
/// and `%`, stands as `%` and two upper-case hexadecimal digits for each byte of its UTF-8 form.
pub(crate) fn percent_encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' => push_percent(&mut encoded, byte),
            b'!'..=b'~' => encoded.push(char::from(byte)),
            _ => push_percent(&mut encoded, byte),
        }
    }
    encoded
}

/// The reverse of [`percent_encoded`]; `None` if the value is not UTF-8 or has a `%` without two digits.
pub(crate) fn percent_decoded(value: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests;
