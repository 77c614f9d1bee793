//! The vocabulary of Annalist and the ports that a store implements.
//!
//! Everything here is plain data: no runtime, no storage engine, no clock. A domain crate that only names streams,
//! events and errors depends on this crate alone.
//!
//! The modules follow the path of an event: a [`StreamId`] names where it goes, [`NewEvent`] is what a caller hands
//! in, [`Append`] is the atomic unit that carries it, [`RecordedEvent`] is what comes out, [`EventStore`] is the port.

mod limits;
mod text;

mod position;
mod stream;

mod event;
mod metadata;
mod trace;

mod append;
mod query;
mod record;
mod recorded;

mod care;
mod error;
mod import;
mod read;
mod statistics;

mod store;

pub use append::{Append, Appended, Entry, Expected, Fingerprint, Key, Keyed, Outcome};
pub use care::{Backup, DamagedFile, Finding, Part, Progress, Verified};
pub use error::{AppendError, Invalid, StoreError};
pub use event::{ContentType, EventId, EventType, NewEvent, Tag, Timestamp};
pub use import::{ImportError, Imported, PastEvent};
pub use limits::{
    APPEND_BYTES_MAX, APPEND_CONDITIONS_MAX, APPEND_ENTRIES_MAX, APPEND_EVENTS_MAX, EVENT_TAGS_MAX, METADATA_BYTES_MAX,
    NAME_BYTES_MAX, OUTCOME_BYTES_MAX, PAYLOAD_BYTES_MAX, QUERY_ITEMS_MAX, QUERY_NAMES_MAX, TAGS_BYTES_MAX,
    TYPE_BYTES_MAX,
};
pub use metadata::Metadata;
pub use position::{Cursor, Epoch, Position, StoreId, Version};
pub use query::{Condition, Query, QueryItem, Within};
pub use read::{Direction, Read, Source};
pub use record::{Body, MalformedBody, body_len, encode_body};
pub use recorded::RecordedEvent;
pub use statistics::Statistics;
pub use store::{Batches, Checkpoints, Delivery, EventStore, Snapshot, Snapshots, Subscription, locate};
pub use stream::{SYSTEM_STREAM, StreamId, category};
pub use trace::TraceContext;
