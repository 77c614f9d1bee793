//! Ids, cursors, versions.

use annalist_core::{Cursor, Epoch, EventId, Expected, Invalid, Position, StoreId, Version};
use bytes::Bytes;
use uuid::Uuid;

use crate::v1;

/// What the protocol forbids and the types of `annalist-core` cannot even hold.
pub(crate) fn malformed(why: impl Into<String>) -> Invalid {
    Invalid::Other { why: why.into() }
}

/// A field that must be set.
pub(crate) fn required<T>(what: &str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| malformed(format!("the {what} is missing; set it")))
}

pub(crate) fn uuid(what: &str, bytes: &[u8]) -> Result<Uuid, Invalid> {
    Uuid::from_slice(bytes).map_err(|_| malformed(format!("the {what} has {} bytes; a UUID has 16", bytes.len())))
}

pub(crate) fn event_id(bytes: &[u8]) -> Result<EventId, Invalid> {
    Ok(EventId::new(uuid("event id", bytes)?))
}

pub(crate) fn bytes_of(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

impl From<Cursor> for v1::Cursor {
    fn from(cursor: Cursor) -> Self {
        Self { store_id: bytes_of(cursor.store.uuid()), epoch: cursor.epoch.get(), position: cursor.position.get() }
    }
}

impl TryFrom<v1::Cursor> for Cursor {
    type Error = Invalid;
    fn try_from(cursor: v1::Cursor) -> Result<Self, Invalid> {
        let store = if cursor.store_id.is_empty() { Uuid::nil() } else { uuid("store id", &cursor.store_id)? };
        let (store, epoch) = (StoreId::new(store), Epoch::new(cursor.epoch));
        Ok(Self { store, epoch, position: Position::new(cursor.position) })
    }
}

/// A cursor that need not be set.
pub(crate) fn or_start(cursor: Option<v1::Cursor>) -> Result<Cursor, Invalid> {
    cursor.map_or(Ok(Cursor::START), Cursor::try_from)
}

impl From<Expected> for v1::Expected {
    fn from(expected: Expected) -> Self {
        use v1::expected::Kind;
        let (kind, version) = match expected {
            Expected::Any => (Kind::Any, Version::ZERO),
            Expected::NoStream => (Kind::NoStream, Version::ZERO),
            Expected::StreamExists => (Kind::StreamExists, Version::ZERO),
            Expected::Exact(version) => (Kind::Exact, version),
        };
        Self { kind: kind.into(), version: version.get() }
    }
}

impl TryFrom<v1::Expected> for Expected {
    type Error = Invalid;
    fn try_from(expected: v1::Expected) -> Result<Self, Invalid> {
        use v1::expected::Kind;
        let kind = Kind::try_from(expected.kind)
            .map_err(|_| malformed(format!("{} is not a kind of expected version", expected.kind)))?;
        Ok(match kind {
            Kind::Any => Self::Any,
            Kind::NoStream => Self::NoStream,
            Kind::StreamExists => Self::StreamExists,
            Kind::Exact => Self::Exact(Version::new(expected.version)),
        })
    }
}
