//! The protocol between a store that runs as a server and its clients: `annalist.v1`, and how it says what
//! `annalist-core` says.
//!
//! [`v1`] is generated from `annalist/v1/annalist.proto`, which documents every field. The other modules are conversions
//! both ways; what comes from the wire is checked. `docs/server.md` in the repository says what may change in it.

mod limits;

mod codec;

/// The messages and services, generated from `annalist/v1/annalist.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "what is generated is as it is; the protocol documents it"
)]
pub mod v1 {
    tonic::include_proto!("annalist.v1");

    /// Everything that the protocol declares, as an encoded `google.protobuf.FileDescriptorSet`: for reflection.
    pub const FILE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/annalist.v1.bin"));
}

mod cursor;
mod event;
mod query;

mod append;
mod reading;

mod failure;

mod import;

mod pipeline;

pub use append::{stored_stream_version, stream_version};
pub use failure::{Failed, append_status, store_status};
pub use import::{import_error, import_status};
pub use limits::{MESSAGE_BYTES_MAX, PORT};
pub use pipeline::{PipelineRequest, decode_append, encode_append};
pub use reading::{delivery, events, form, stored_events, subscribe, subscribed};

/// What a message takes on the wire, with the five bytes that gRPC puts before it.
#[must_use]
pub fn framed_bytes(message: &impl prost::Message) -> usize {
    message.encoded_len() + 5
}

#[cfg(test)]
mod tests;
