//! NATS JetStream as the destination of an outbox.
//!
//! [`Jetstream`] implements the framework's port [`Publisher`](annalist::outbox::Publisher). One JetStream stream has one
//! outbox as its only writer; each message names the number of the message before it, so the broker itself refuses a
//! gap, a repetition, a change of order and a second writer. What the stream holds last says where to continue.
//!
//! ```no_run
//! # use annalist::outbox::{IntegrationEvent, MapError};
//! # fn public(_: &annalist_core::RecordedEvent) -> Result<Vec<IntegrationEvent>, MapError> { Ok(vec![]) }
//! use annalist::outbox::Outbox;
//! use annalist_nats::Jetstream;
//!
//! let outbox = Outbox::new(Jetstream::at("nats://localhost:4222").stream("ORDERS")).map(public);
//! ```

mod limits;
mod options;

mod subject;

mod headers;

mod error;
mod session;

mod jetstream;

mod stored;

pub use jetstream::Jetstream;
pub use options::{Credentials, JetstreamOptions};
pub use stored::{ReadError, Stored, StoredMessage, published};
