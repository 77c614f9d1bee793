//! Every default and every bound of a client, with its reason.

use std::{num::NonZeroU8, time::Duration};

/// How long a connection may take to be made. In a data centre it takes milliseconds; a machine that is gone takes for ever.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections to a server: with two cores for client and server more were no better (ADR 70).
pub(crate) const CONNECTIONS: NonZeroU8 = NonZeroU8::MIN;

/// How long a call may take, repetitions included: long enough for a server to be started again, short enough that somebody
/// still waits for the answer.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause before the second attempt; it doubles with each further one. The pause itself is drawn from its half up to
/// that, so that those who failed together do not come back together.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest pause before an attempt: how long after its start a server may be found at the latest.
pub(crate) const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Repetitions for each hundred calls, and a second besides, that a client makes of what the server may have received: a
/// server that is in trouble is asked a fifth more at most.
pub(crate) const REPEAT_PERCENT: u32 = 20;
/// See [`REPEAT_PERCENT`].
pub(crate) const REPEATS_PER_SECOND: u32 = 10;
/// Most repetitions that can be saved up: what may be in flight when a server dies, so that all of it is repeated.
pub(crate) const REPEATS_MAX: u32 = 1024;

/// Appends, or reads, that wait to be sent; those beyond wait for their turn. A connection sends as many in a millisecond.
pub(crate) const PIPELINE_QUEUE: usize = 256;

/// How long a server is taken to have no calls that are shared once it has said so. Asking again costs one call; a server that
/// was upgraded meanwhile is served the long way for no longer than this.
pub(crate) const PIPELINE_ASK_AGAIN: Duration = Duration::from_mins(1);

/// An append with more bytes than this goes on a call of its own: in the pipeline others would wait behind it.
pub(crate) const PIPELINE_APPEND_BYTES_MAX: usize = 64 * 1024;

/// What the server may send of one stream before it is taken, in bytes. At a round trip of 10 ms it is 200 MB/s.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// What it may send of all streams together: as much as HTTP/2 can say. The window of each stream is the bound; if those who
/// do not take their events could use up this one, everybody would wait for them.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// Largest frame that the server may send, in bytes: a batch of events goes in a few, each of which costs a call to the system
/// on both sides. What else is on the connection waits for one of them at most.
pub(crate) const FRAME_BYTES_MAX: u32 = 128 * 1024;

/// Largest headers of an answer, in bytes. Errors travel in them.
pub(crate) const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// How often an open connection is tested, and how long the answer may take: a server that vanished without a word is found
/// out within the two together.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// See [`KEEP_ALIVE_INTERVAL`].
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
