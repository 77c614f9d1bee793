//! A store that runs as a server, used as if it were embedded.
//!
//! [`RemoteStore`] implements the ports of `annalist-core` over the protocol `annalist.v1`. It connects when it is first used,
//! connects again when the connection breaks, repeats what may be repeated, and goes on with reads and subscriptions where
//! they broke off, without a gap or a repetition. `docs/server.md` in the repository says what it does when.

mod address;
mod limits;
mod options;

mod budget;
mod connector;
mod failure;
mod pause;
mod tls;

mod pipeline;
mod pool;
mod remote;

mod group;
mod read;
mod subscription;

mod store;

mod groups;

mod care;

pub use address::AddressError;
pub use group::{GroupDelivery, GroupMember, GroupOptions};
pub use groups::{GroupStatus, ParkedEvent};
pub use options::{ApiKey, Identity, RemoteOptions};
pub use store::RemoteStore;
