//! Every default and every bound of a server, with its reason.

use std::time::Duration;

/// Most connections. A client opens a few; each costs some tens of kilobytes. Those beyond wait to be accepted.
pub(crate) const CONNECTIONS_MAX: usize = 1024;

/// Most requests of one connection at a time, subscriptions included. Those beyond wait at the client.
pub(crate) const REQUESTS_PER_CONNECTION_MAX: u32 = 1024;

/// Most requests of one connection that were given up before they were looked at. A client that drops futures gives up many;
/// beyond this the connection is taken for an attack and closed, with everything else on it.
pub(crate) const RESETS_PENDING_MAX: usize = REQUESTS_PER_CONNECTION_MAX as usize;

/// Most appends or reads that share a call and are taken and not answered; those beyond wait at the client.
pub(crate) const PIPELINE_QUESTIONS_MAX: usize = 1024;
/// Most bytes that they hold, the payloads of appends and what reads may find; the one that exceeds it is the last that is taken.
pub(crate) const PIPELINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a shared call takes questions, before the client has to open another: whoever loses a key or a certificate goes on
/// with it no longer than this.
pub(crate) const PIPELINE_AGE_MAX: Duration = Duration::from_mins(1);

/// What a client may send of one request before it is taken, in bytes: an append of the usual size goes in one piece.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// What it may send of all requests together, in bytes.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Largest frame that a client may send, in bytes: an append of the usual size goes in one.
pub(crate) const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// Most bytes of events in one message, unless one event alone is larger (64 KiB). Large enough that framing costs nothing, small
/// enough that a slow reader holds up little memory: of messages there are three or four for each, and one stays with a call that
/// has sent such a message once.
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024;

/// What waits to be written of one answer, in bytes (64 KiB), beyond which no more of it is made; the message that exceeds it is
/// the last.
pub(crate) const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Most bytes of events in the answer to one of the reads that share a call, unless one event alone is larger: what a stream of
/// the usual length has. Others wait behind it.
pub(crate) const LOOKUP_BYTES_MAX: usize = 64 * 1024;

/// How often an idle connection is tested, and how long the answer may take: a client that vanished without a word holds its
/// subscriptions no longer than the two together.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// See [`KEEP_ALIVE_INTERVAL`].
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that the server has ended is kept open for what its client is still sending.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(1);

/// How long requests in flight may take once the server is told to end; then they are cut off, and clients ask again. With
/// closing the store it stays below the 30 s of grace that Kubernetes gives.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Most threads that wait for the disk at a time, of the runtime of a process that serves: reads that come together are made there,
/// and backups. Reads beyond them wait for one. A disk answers so many questions at once as fast as it can, and each thread keeps
/// some 200 KB of stack, caches and heap of its own.
pub(crate) const BLOCKING_THREADS_MAX: usize = 32;
/// The same of each thread that serves connections, of which there is one for each processor.
pub(crate) const IO_BLOCKING_THREADS_MAX: usize = 16;

/// How often the store is asked how it is, for those who watch the health service. Asking costs nothing.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait after a connection could not be accepted: usually there are no more file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Largest body of a request over HTTP, in bytes (24 MiB): the largest append, in base64.
pub(crate) const HTTP_BODY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// How long TLS may take to be agreed upon. It takes a few round trips; who says nothing occupies a place meanwhile.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How often the files of keys and certificates are looked at. They have a few kilobytes; a key that was taken away is good for
/// no longer than this.
pub(crate) const RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// From when on a certificate that ends is spoken of, and how often: what renews them by itself does it a month before.
pub(crate) const CERTIFICATE_WARNING: Duration = Duration::from_hours(14 * 24);
/// See [`CERTIFICATE_WARNING`].
pub(crate) const CERTIFICATE_WARNING_INTERVAL: Duration = Duration::from_hours(24);

/// Memory for the bodies of all requests together, in bytes, from their arrival until they are answered (256 MiB): a few of the
/// largest appends, or very many of the usual size.
pub(crate) const REQUEST_MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// Longest correlation id that a caller may give. Ids that people and gateways make have at most 64 characters.
pub(crate) const CORRELATION_ID_BYTES_MAX: usize = 128;
/// Longest `traceparent` that is looked at: it has 55 characters, and later versions may append something.
pub(crate) const TRACEPARENT_BYTES_MAX: usize = 128;
/// Longest `tracestate` that is carried on: what the W3C standard asks everybody to carry.
pub(crate) const TRACESTATE_BYTES_MAX: usize = 512;

/// How long the end waits for spans to be sent. They are a help, not a promise.
pub(crate) const TELEMETRY_MAX: Duration = Duration::from_secs(3);

/// Most reads and subscriptions at a time: a few for each of hundreds of services. With events of a kilobyte each holds about a
/// megabyte while nobody takes it.
pub(crate) const ANSWERS_MAX: usize = 4096;

/// Most lines of the audit log in a second. Those beyond are counted: who is refused again and again must not fill the disk.
pub(crate) const AUDIT_LINES_PER_SECOND: u32 = 100;

/// How often it is told how far an import is that goes on: what a server that dies has not told of it.
pub(crate) const AUDIT_IMPORT_INTERVAL: Duration = Duration::from_mins(1);
/// How long no piece of an import has come when it is over: longer than one takes, short enough that its numbers are there when somebody
/// looks for them.
pub(crate) const AUDIT_IMPORT_PAUSE: Duration = Duration::from_secs(10);
/// Most imports whose pieces are told together; of those beyond each piece is told.
pub(crate) const AUDIT_IMPORTS_MAX: usize = 64;

/// Most groups of consumers. Each that was asked for has a task and follows its query.
pub(crate) const GROUPS_MAX: usize = 256;
/// Longest name of a group, in bytes.
pub(crate) const GROUP_NAME_BYTES_MAX: usize = 255;
/// How often an event is handed out before it is parked, unless a group says otherwise.
pub(crate) const GROUP_ATTEMPTS_MAX: u32 = 5;
/// How long a member may take for an event, unless a group says otherwise.
pub(crate) const GROUP_ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Most events that a member has at a time, unless it says otherwise.
pub(crate) const GROUP_IN_FLIGHT: u32 = 16;
/// Most events that a member can have at a time.
pub(crate) const GROUP_IN_FLIGHT_MAX: u32 = 1024;
/// Most unsettled events of a group that nothing holds up: a few for each place of many members. The note of a group lists them.
pub(crate) const GROUP_OPEN_MAX: usize = 4096;
/// Most events of a group that are parked or wait behind a parked one. Then the group takes no more in until a person has looked.
pub(crate) const GROUP_PARKED_MAX: usize = 16_384;
/// From how many bytes of events that it keeps ready on a group reads no further ahead (16 MiB).
pub(crate) const GROUP_READY_BYTES: usize = 16 * 1024 * 1024;
/// From how many bytes that all groups keep ready on none of them does that has anything ready (32 MiB): a batch of the largest size
/// for each of 64 groups, and a third of what a server is to have in memory.
pub(crate) const GROUPS_READY_BYTES: usize = 32 * 1024 * 1024;
/// How long a group may know something that is not kept: after a crash so much is handed out again.
pub(crate) const GROUP_SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// A large note is written less often: an interval more for each so many bytes of it (256 KiB), so that a group writes no more
/// than 2.5 MiB in a second.
pub(crate) const GROUP_SAVE_BYTES: usize = 256 * 1024;
/// From how many bytes of what is not settled on a group takes no more in (4 MiB), about as a note has it, which is written whole.
/// Names of streams may have a kilobyte, and so may reasons; with short ones the bounds on the numbers of events come first.
pub(crate) const GROUP_NOTE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most words that wait for a group: answers of its members, mostly. Those beyond wait at the members.
pub(crate) const GROUP_ORDERS_MAX: usize = 1024;
/// Most bytes of a reason that are kept with a parked event.
pub(crate) const GROUP_REASON_BYTES_MAX: usize = 1024;

/// Events of one page over HTTP, unless asked otherwise: what a person looks at.
pub(crate) const PAGE_EVENTS: u64 = 100;
/// Most events of one page over HTTP; a page is held in memory whole, as text.
pub(crate) const PAGE_EVENTS_MAX: u64 = 1000;
/// Most bytes of events in one page over HTTP (4 MiB), unless its first event alone has more.
pub(crate) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often a subscription over HTTP says that it is still there, when there is nothing else to say: below the minute after which
/// proxies commonly close what is idle.
pub(crate) const SSE_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often it is told how far something is that takes long.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Most streams that are listed at once.
pub(crate) const STREAMS_MAX: u32 = 1000;
