//! What travels with an event but is not its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The circumstances of an event: who, in whose name, as part of what.
///
/// The framework fills these in from the command; a projection or the outbox reads them. Values are UTF-8 text;
/// encoded, all of it is at most [`METADATA_BYTES_MAX`](crate::METADATA_BYTES_MAX) bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The business conversation that the event belongs to; the same through all services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The command or event that caused this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The person or service in whose name it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The tenant it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The W3C trace context (`traceparent`) at the time of the append.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The W3C `tracestate` beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// Anything else, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pairs: BTreeMap<String, String>,
}

/// The tags of metadata fields on disk. Retired numbers stay reserved.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Field {
    Correlation = 1,
    Causation = 2,
    Actor = 3,
    Tenant = 4,
    Traceparent = 5,
    Tracestate = 6,
    /// A pair: the name, a zero byte, the value.
    Pair = 7,
}

impl Metadata {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none() && self.pairs.is_empty()
    }

    fn fields(&self) -> impl Iterator<Item = (Field, &str)> {
        [
            (Field::Correlation, &self.correlation_id),
            (Field::Causation, &self.causation_id),
            (Field::Actor, &self.actor),
            (Field::Tenant, &self.tenant),
            (Field::Traceparent, &self.traceparent),
            (Field::Tracestate, &self.tracestate),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field, value.as_deref()?)))
    }

    /// The number of bytes that [`Metadata::encode`] writes.
    pub(crate) fn encoded_len(&self) -> usize {
        let fields: usize = self.fields().map(|(_, value)| 3 + value.len()).sum();
        let pairs: usize = self.pairs.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
        fields + pairs
    }

    /// Appends each field as (tag u8, length u16 little-endian, bytes). The caller has checked the total length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for (field, value) in self.fields() {
            put(out, field, &[value.as_bytes()]);
        }
        for (name, value) in &self.pairs {
            put(out, Field::Pair, &[name.as_bytes(), &[0], value.as_bytes()]);
        }
    }

    /// The reverse of [`Metadata::encode`]; `None` if the bytes are not metadata. Unknown fields are skipped, so that
    /// an older program can read what a newer one wrote.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut metadata = Self::default();
        while let Some((tag, rest)) = bytes.split_first() {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            let value = std::str::from_utf8(value).ok()?;
            let slot = match *tag {
                t if t == Field::Correlation as u8 => Some(&mut metadata.correlation_id),
                t if t == Field::Causation as u8 => Some(&mut metadata.causation_id),
                t if t == Field::Actor as u8 => Some(&mut metadata.actor),
                t if t == Field::Tenant as u8 => Some(&mut metadata.tenant),
                t if t == Field::Traceparent as u8 => Some(&mut metadata.traceparent),
                t if t == Field::Tracestate as u8 => Some(&mut metadata.tracestate),
                t if t == Field::Pair as u8 => {
                    let (name, value) = value.split_once('\0')?;
                    metadata.pairs.insert(name.to_owned(), value.to_owned());
                    None
                }
                _ => None,
            };
            if let Some(slot) = slot {
                *slot = Some(value.to_owned());
            }
            bytes = rest;
        }
        Some(metadata)
    }
}

fn put(out: &mut Vec<u8>, field: Field, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.push(field as u8);
    out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}
