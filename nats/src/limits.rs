//! Every limit of publishers and consumers, with its reason.

use std::time::Duration;

/// Most messages of one window that are on their way at once; a longer window is published in several parts. Bounds
/// what the client holds for acknowledgements, and stays far below what the server queues for one stream.
pub(crate) const IN_FLIGHT_MAX: usize = 1024;

/// All headers of one message, in bytes: JetStream counts them in 16 bits.
pub(crate) const HEADER_BYTES_MAX: usize = 65_535;

/// Longest subject, in bytes. The server reads subject, reply subject and sizes in one control line of at most 4 KiB.
pub(crate) const SUBJECT_BYTES_MAX: usize = 3_584;

/// Longest name of a JetStream stream, in bytes: it is the name of a directory of the server.
pub(crate) const STREAM_NAME_BYTES_MAX: usize = 128;

/// After how long a request for messages is made anew: the server forgets it then, so that none is left behind.
pub(crate) const PULL_EXPIRY: Duration = Duration::from_secs(30);

/// How often the server says that a request for messages still stands; without it the consumer connects anew. Less than
/// half of the expiry, as the server wants it.
pub(crate) const PULL_HEARTBEAT: Duration = Duration::from_secs(5);
