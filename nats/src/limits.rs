//! Every limit of the publisher, with its reason.

/// Most messages of one window that are on their way at once; a longer window is published in several parts. Bounds
/// what the client holds for acknowledgements, and stays far below what the server queues for one stream.
pub(crate) const IN_FLIGHT_MAX: usize = 1024;

/// All headers of one message, in bytes: JetStream counts them in 16 bits.
pub(crate) const HEADER_BYTES_MAX: usize = 65_535;

/// Longest subject, in bytes. The server reads subject, reply subject and sizes in one control line of at most 4 KiB.
pub(crate) const SUBJECT_BYTES_MAX: usize = 3_584;

/// Longest name of a JetStream stream, in bytes: it is the name of a directory of the server.
pub(crate) const STREAM_NAME_BYTES_MAX: usize = 128;
