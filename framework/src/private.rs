//! What derived code calls. Not for use by hand, and without promises.

pub use annalist_core::Tag;
pub use bytes::Bytes;
pub use serde;

use std::fmt::Display;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::event::{DecodeError, EncodeError, EventSet};

/// The payload of an event without fields: an empty object.
#[derive(Debug, Serialize, Deserialize)]
pub struct Nothing {}

/// A payload as JSON.
///
/// # Errors
/// [`EncodeError::Payload`].
pub fn encode<T: Serialize + ?Sized>(name: &'static str, payload: &T) -> Result<Bytes, EncodeError> {
    match serde_json::to_vec(payload) {
        Ok(json) => Ok(json.into()),
        Err(error) => Err(EncodeError::Payload { name, detail: error.to_string() }),
    }
}

/// A payload from JSON.
///
/// # Errors
/// [`DecodeError::Payload`].
pub fn decode<T: DeserializeOwned>(name: &'static str, version: u16, payload: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(payload).map_err(|error| DecodeError::Payload { name, version, detail: error.to_string() })
}

/// `name:value`
///
/// # Errors
/// [`EncodeError::Invalid`] when the value makes it too long or has control characters.
pub fn tag(name: &str, value: &(impl Display + ?Sized)) -> Result<Tag, EncodeError> {
    Ok(Tag::new(format!("{name}:{value}"))?)
}

/// Why a name and a version cannot be read as an event of this set.
#[must_use]
pub fn undeclared<E: EventSet>(name: &str, version: u16) -> DecodeError {
    match E::TYPES.iter().find(|(declared, _)| *declared == name) {
        None => DecodeError::UnknownType { name: name.to_owned() },
        Some(&(name, known)) if version > known => DecodeError::FutureVersion { name, recorded: version, known },
        Some(&(name, _)) => DecodeError::RetiredVersion { name, recorded: version },
    }
}
