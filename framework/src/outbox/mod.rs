//! The outbox: domain events out of the log, as integration events, to a broker.
//!
//! The log is the outbox: nothing is written twice. A relay follows it with one cursor per destination, maps each
//! domain event to the integration events that others may see, and hands them to a [`Publisher`] in order. What the
//! broker last stored, not what was last sent, says where to continue; so nothing is lost and nothing stored twice,
//! whoever is killed. The broker is connected when it is there; a service starts and works without it.

mod limits;
mod options;

mod mapping;
mod message;

mod publisher;

pub mod contract;
mod memory;

mod status;

mod feed;
mod note;

mod backoff;
mod interrupt;
mod relay;
mod task;
mod wiring;

pub use limits::INTEGRATION_EVENTS_PER_EVENT_MAX;
pub use mapping::{MapError, Mapped};
pub use memory::MemoryPublisher;
pub use message::{IntegrationEvent, Message};
pub use options::RelayOptions;
pub use publisher::{PublishError, Published, Publisher, Tail};
pub use relay::{DrainError, Relay};
pub use status::{RelayState, RelayStatus, Stopped};
pub use wiring::Outbox;
