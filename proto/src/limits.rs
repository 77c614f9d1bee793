//! What both ends must agree on, with the reasons.

/// The port on which a server listens unless it is told otherwise: for gRPC and for HTTP alike.
pub const PORT: u16 = 2665;

/// Largest message, in bytes (32 MiB). The largest append has 16 MiB of events; their ids, and the conditions of it, come
/// to a few more.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a call begins with to write messages, and to read them, in bytes. Most calls of a server never need more at a time, and the
/// buffers stay as long as the call.
pub(crate) const CALL_BUFFER_BYTES: usize = 1024;

/// From how many bytes of messages on, that are ready to be sent, they are handed on (16 KiB): so much is put together without
/// waiting for anything.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;

/// Longest text of an error, in bytes. Errors travel in headers, of which HTTP/2 implementations commonly take 16 KiB; the
/// text is in there twice, once with three bytes for each that is not ASCII.
pub(crate) const TEXT_BYTES_MAX: usize = 2048;

const _: () = assert!(MESSAGE_BYTES_MAX > annalist_core::APPEND_BYTES_MAX + annalist_core::APPEND_EVENTS_MAX * 64);
const _: () = assert!(TEXT_BYTES_MAX * 5 < 16 * 1024, "an error fits into headers");
