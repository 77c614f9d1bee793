//! NATS JetStream between services: the destination of an outbox, and the source of an inbox.
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
//!
//! [`JetstreamConsumer`] implements the port [`Consumer`](annalist::inbox::Consumer): a durable pull consumer of another
//! service's stream, which delivers in order from what is not acknowledged, whoever was killed. It reads CloudEvents in binary and in
//! structured mode; what cannot be handled is kept in a stream of [dead letters](JetstreamDeadLetters).
//!
//! ```no_run
//! # use annalist::{Event, inbox::{HandleError, Inbox, InboxContext, Received}};
//! # #[derive(Event, Clone)]
//! # #[event(category = "payments")]
//! # enum PaymentEvent { #[event(name = "payments.charged")] Charged { order: String } }
//! # async fn payments(_: Received<PaymentEvent>, _: InboxContext) -> Result<(), HandleError> { Ok(()) }
//! use annalist_nats::JetstreamConsumer;
//!
//! let payments_stream = JetstreamConsumer::at("nats://localhost:4222").stream("PAYMENTS").context("orders");
//! let inbox = Inbox::named("orders-payments").from(payments_stream).on(payments);
//! ```
//!
//! [`Permissions`] turn both into what each service may do at the broker, and no more.

mod limits;
mod options;

mod subject;

mod headers;

mod cloudevents;

mod connection;
mod error;
mod session;

mod jetstream;

mod consumer;

mod stored;

mod permissions;

pub use consumer::{JetstreamConsumer, JetstreamDeadLetters};
pub use jetstream::Jetstream;
pub use options::{Credentials, JetstreamOptions};
pub use permissions::Permissions;
pub use stored::{ReadError, Stored, StoredMessage, published};
