//! The inbox: integration events of other services in, from a broker, as commands.
//!
//! A [`Consumer`] delivers messages at least once, a handler turns each into commands, and every command is recorded under
//! the message's own key ([`InboxMessage`]): whatever is delivered again, and whoever is killed when, its effect is
//! recorded once. A message is acknowledged when all its commands are durable, and not before.
//!
//! Messages with the same key (by default the source and the CloudEvents attribute `subject`) are handled one after the
//! other, in the order of the broker's stream, also when one of them fails: it is kept and tried again while the later
//! ones of its key wait and all others go on. What cannot succeed is put aside as a [dead letter](DeadLetter), to be looked
//! at, and replayed or discarded.

mod limits;
mod options;

mod message;

mod consumer;
mod dead;

pub mod contract;
mod memory;

mod context;
mod error;
mod handlers;

mod status;

mod lanes;
mod note;
mod session;
mod task;
mod work;

mod running;
mod wiring;

pub use crate::command::InboxMessage;
pub use consumer::{Answer, ConsumeError, Consumer, Delivered, Terms};
pub use context::{ForMessage, InboxContext, Received};
pub use dead::{DeadLetter, DeadLetters, Death, DeathReason};
pub use error::{HandleError, settled};
pub use memory::MemoryConsumer;
pub use message::{Incoming, Malformed};
pub use options::{InboxOptions, OnNewer};
pub use running::RunningInbox;
pub use status::{InboxState, InboxStatus, InboxStopped};
pub use wiring::Inbox;
