//! Dead letters as the broker holds them: the message as it came, and headers that say why.

use annalist::inbox::{DeadLetter, Death, DeathReason};
use async_nats::{HeaderMap, HeaderName, header, jetstream::message::StreamMessage};

use crate::{
    cloudevents,
    headers::{percent_decoded, percent_encoded, text},
};

/// The names of the headers stand in the broker for ever. Their values are percent-encoded like those of CloudEvents.
mod name {
    pub(super) const PREFIX: &str = "dlq-";
    pub(super) const INBOX: &str = "dlq-inbox";
    pub(super) const REASON: &str = "dlq-reason";
    pub(super) const ERROR: &str = "dlq-error";
    pub(super) const ATTEMPTS: &str = "dlq-attempts";
    pub(super) const STREAM: &str = "dlq-stream";
    pub(super) const SEQUENCE: &str = "dlq-stream-seq";
}

/// Where a message was first delivered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
}

impl Origin {
    /// What a message says that was a dead letter before; `otherwise` for all others.
    fn of(headers: &HeaderMap, otherwise: &Self) -> Self {
        let said = || {
            let stream = get(headers, name::STREAM)?;
            Some(Self { stream, sequence: get(headers, name::SEQUENCE)?.parse().ok()? })
        };
        said().unwrap_or_else(|| otherwise.clone())
    }
}

/// The headers of the dead letter of a message with `headers` that was delivered from `delivered`.
pub(crate) fn encode(headers: &HeaderMap, inbox: &str, death: &Death, delivered: &Origin) -> HeaderMap {
    let mut letter = kept(headers);
    let origin = Origin::of(headers, delivered);
    // Who dies in the same place is the same: the broker keeps it once, if it comes again soon.
    let id = format!("{inbox}/{}/{}", delivered.stream, delivered.sequence);
    letter.insert(header::NATS_MESSAGE_ID, id);
    let mut put = |name, value: &str| letter.insert(HeaderName::from_static(name), percent_encoded(value));
    put(name::INBOX, inbox);
    put(name::REASON, death.reason.name());
    put(name::ERROR, &death.error);
    put(name::ATTEMPTS, &death.attempts.to_string());
    put(name::STREAM, &origin.stream);
    put(name::SEQUENCE, &origin.sequence.to_string());
    letter
}

/// The headers under which the dead letter number `number` is handled once more: its own, and where it came from.
pub(crate) fn replayed(headers: &HeaderMap, number: u64) -> HeaderMap {
    let mut replayed = kept(headers);
    replayed.insert(header::NATS_MESSAGE_ID, format!("replay/{number}"));
    for name in [name::STREAM, name::SEQUENCE] {
        if let Some(value) = headers.get(HeaderName::from_static(name)) {
            replayed.insert(HeaderName::from_static(name), value.clone());
        }
    }
    replayed
}

/// What the sender has said, without what was said to the broker or by an inbox.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, values) in headers.iter() {
        let lower = text(name).to_ascii_lowercase();
        if lower.starts_with("nats-") || lower.starts_with(name::PREFIX) {
            continue;
        }
        for value in values {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// A dead letter as the stream holds it; `None` if it is something else.
pub(crate) fn decode(stored: &StreamMessage) -> Option<DeadLetter> {
    let StreamMessage { headers, payload, sequence, .. } = stored;
    let get = |name| get(headers, name);
    let reason = DeathReason::named(&get(name::REASON)?)?;
    let death = Death { reason, error: get(name::ERROR)?, attempts: get(name::ATTEMPTS)?.parse().ok()? };
    Some(DeadLetter {
        number: *sequence,
        inbox: get(name::INBOX)?,
        death,
        origin: format!("{} {}", get(name::STREAM)?, get(name::SEQUENCE)?),
        message: cloudevents::decode(headers, payload),
    })
}

fn get(headers: &HeaderMap, name: &'static str) -> Option<String> {
    percent_decoded(headers.get(HeaderName::from_static(name))?.as_str())
}
