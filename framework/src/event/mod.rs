//! Domain events and their bytes.

mod events;
mod in_stream;
mod recorded;
mod schema;

use std::borrow::Cow;

use annalist_core::{EventType, Tag};
use bytes::Bytes;

pub use events::{Declared, Events, Written};
pub use in_stream::InStream;
pub use recorded::Recorded;
pub use schema::{EventSchema, FieldSchema, PayloadSchema};

/// The events of one category as a Rust type, usually an enum; `#[derive(Event)]` writes this.
///
/// Names and versions are declared and stand in the log for ever; Rust's names do not matter. An event is written in its
/// current version and read in every version it ever had.
pub trait EventSet: Sized + Clone + Send + Sync + 'static {
    /// The category of the streams that these events are written to.
    const CATEGORY: &'static str;

    /// The declared names, with the current version of each.
    const TYPES: &'static [(&'static str, u16)];

    /// What the payloads look like, for documents and for [`evolution`](crate::evolution). A set that is written by hand
    /// may leave it empty: then only names and versions are known.
    const SCHEMA: &'static [EventSchema] = &[];

    /// The declared name and current version of this event; one of [`EventSet::TYPES`].
    fn event_type(&self) -> (&'static str, u16);

    /// The marks by which this event can be found. They are not part of the payload's meaning.
    ///
    /// # Errors
    /// [`EncodeError`] when a value cannot be a tag.
    fn tags(&self) -> Result<Vec<Tag>, EncodeError>;

    /// The payload, as JSON, in the current version.
    ///
    /// # Errors
    /// [`EncodeError`] when a value cannot be written as JSON.
    fn encode(&self) -> Result<Bytes, EncodeError>;

    /// Reads a payload of any version that was ever declared, upcasting an old one.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] for a name that is not declared, [`DecodeError::FutureVersion`] for a version newer
    /// than the declared one, [`DecodeError::RetiredVersion`] for an older one without an upcaster,
    /// [`DecodeError::Payload`] when the bytes do not fit.
    fn decode(name: &str, version: u16, payload: &[u8]) -> Result<Self, DecodeError>;

    /// Whether a name is declared here.
    #[must_use]
    fn declares(name: &str) -> bool {
        Self::TYPES.iter().any(|(declared, _)| *declared == name)
    }
}

/// Why an event could not be written as bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload could not be written.
    #[error("the payload of `{name}` cannot be written as JSON: {detail}")]
    Payload {
        /// The event's declared name.
        name: &'static str,
        /// What serde said.
        detail: String,
    },
    /// A declared name or a tag is not valid.
    #[error(transparent)]
    Invalid(#[from] annalist_core::Invalid),
}

/// Why bytes could not be read as an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The name is not declared.
    #[error(
        "no event named `{name}` is declared; was it renamed or removed? Declare it, or read it under its old name"
    )]
    UnknownType {
        /// The recorded name.
        name: String,
    },
    /// The log was written by a newer program.
    #[error("`{name}` was recorded in version {recorded}, this program knows up to {known}; upgrade the program")]
    FutureVersion {
        /// The declared name.
        name: &'static str,
        /// The version in the log.
        recorded: u16,
        /// The newest version known here.
        known: u16,
    },
    /// An old version for which no upcaster is declared.
    #[error("`{name}` was recorded in version {recorded}, for which no upcaster is declared; add one")]
    RetiredVersion {
        /// The declared name.
        name: &'static str,
        /// The version in the log.
        recorded: u16,
    },
    /// The payload does not fit its declared shape.
    #[error("the payload of `{name}` version {version} does not fit: {detail}")]
    Payload {
        /// The declared name.
        name: &'static str,
        /// The version in the log.
        version: u16,
        /// What serde said.
        detail: String,
    },
}

/// The type under which an event is recorded.
///
/// # Errors
/// [`EncodeError::Invalid`] when the declared name breaks a rule of event types.
pub(crate) fn recorded_type<E: EventSet>(event: &E) -> Result<EventType, EncodeError> {
    let (name, version) = event.event_type();
    Ok(EventType::versioned(Cow::Borrowed(name), version)?)
}
