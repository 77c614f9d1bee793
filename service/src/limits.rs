//! Every default and every bound of a service's edge, with its reason.

use std::time::Duration;

/// Longest correlation id. Ids that people and gateways make (UUIDs, ULIDs, hashes) have at most 64 characters; it is copied
/// into each event, so it is not to be large.
pub(crate) const CORRELATION_ID_BYTES_MAX: usize = 128;

/// Longest `tracestate` that is carried on: what the W3C standard asks everybody to carry.
pub(crate) const TRACESTATE_BYTES_MAX: usize = 512;

/// By how much less than what is left a callee is told: its answer has to travel back while it is waited for. Some
/// round trips of a data centre.
pub(crate) const HOP_MARGIN: Duration = Duration::from_millis(10);

/// How long a request may take, unless its caller waits for less. Below the 30 s after which proxies commonly give up, so
/// that it is this service that answers, and says why.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that are answered at the same time; more are turned away at once. By Little's law enough for 10,000 a second
/// that take 50 ms each, and some megabytes of memory.
pub(crate) const CONCURRENT_REQUESTS_MAX: usize = 512;

/// Requests a second that are let in: far more than a service that syncs to a disk answers; there to cut off a client that
/// has run wild before it costs more than a look at its headers.
pub(crate) const REQUESTS_PER_SECOND_MAX: u32 = 5_000;

/// Largest body of a request. Commands are kilobytes; an event cannot be larger than the store takes anyway.
pub(crate) const REQUEST_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Longest `Idempotency-Key`: fits into a key of the store beside its scope.
pub(crate) const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// After how long somebody who was turned away may come again. Long enough for a queue to empty, short enough that no
/// person notices.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Longest plain-text error of a handler or of axum that becomes the detail of a problem.
pub(crate) const PROBLEM_DETAIL_BYTES_MAX: usize = 4 * 1024;

/// Failures in a row that open a breaker: fewer would be chance, more would be waiting.
pub(crate) const BREAKER_FAILURES_MAX: u32 = 5;

/// How long an open breaker stays so before it lets a probe through: the time in which a process restarts.
pub(crate) const BREAKER_OPEN: Duration = Duration::from_secs(30);

/// Probes that a half-open breaker lets through at a time, and that must succeed before it closes: one good answer is luck.
pub(crate) const BREAKER_PROBES: u32 = 3;

/// Slots that a window of time consists of: it moves on by a tenth of itself.
pub(crate) const BREAKER_TIME_SLOTS: u64 = 10;

/// Most calls that a window of calls remembers.
pub(crate) const BREAKER_WINDOW_CALLS_MAX: u32 = 10_000;

/// Attempts at a call, the first included. Two retries see through one restart behind a load balancer; more only load what
/// is overloaded already.
pub(crate) const ATTEMPTS_MAX: u32 = 3;

/// Retries for each hundred calls, and a second besides, that a client makes at most: the values of Finagle and Linkerd. A
/// dependency that is down costs at most a fifth more load than one that is up.
pub(crate) const RETRY_PERCENT: u32 = 20;
/// See [`RETRY_PERCENT`]: what a client with few calls may retry at all.
pub(crate) const RETRIES_PER_SECOND_MIN: u32 = 10;
/// For how long a call counts towards the budget.
pub(crate) const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// The longest pause before the second attempt; it doubles with each further one. The pause itself is drawn from nothing up
/// to that, so that those who failed together do not come back together.
pub(crate) const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause before an attempt. A `Retry-After` is honoured beyond it, as far as the deadline allows.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Largest body of an answer that a client takes: answers are held in memory, and there are as many as calls in flight.
pub(crate) const ANSWER_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long connections to a dependency are kept when they are idle: less than the minute after which common servers and
/// load balancers close theirs, so that a call does not meet a connection that is just being closed.
pub(crate) const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(30);

/// How far, in time, a view may be behind before the service says it is not ready.
pub(crate) const VIEW_LAG_MAX: Duration = Duration::from_secs(30);

/// How long a health check waits for one part. Probes wait for a second by default; what does not answer in half of that is
/// not well.
pub(crate) const HEALTH_CHECK_MAX: Duration = Duration::from_millis(500);

/// How often the runtime is asked whether it still makes progress, and how long it may not have before the process is called
/// dead: three probes of ten seconds would kill it anyway.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// See [`HEARTBEAT`].
pub(crate) const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(20);

/// How long a service that is told to end still takes requests, while it says that it is not ready and asks clients to close
/// their connections: so that load balancers find another. Kubernetes needs no more, as it takes the pod out by itself; a
/// `preStop` pause comes on top.
pub(crate) const UNREADY_PAUSE: Duration = Duration::from_secs(1);

/// How long it waits for requests in flight: as long as one may take, and a moment.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(11);

/// How long it waits for consumers of messages to finish what they are at.
pub(crate) const CONSUMERS_STOP_MAX: Duration = Duration::from_secs(5);

/// How long it waits for outboxes to be empty. What is left is published after the next start, so this is a courtesy to
/// those who wait for it. All in all a shutdown fits into the 30 s of grace that Kubernetes gives.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(5);

/// What a service that others wait for must promise: slower ones are asked by messages.
pub(crate) const SYNC_SLA_MAX: Duration = Duration::from_millis(100);

/// How long a service waits, at its end, for spans to be sent. They are a help, not a promise.
pub(crate) const TELEMETRY_MAX: Duration = Duration::from_secs(3);

// The caller of a drained request gets its time-out, not a closed connection.
const _: () = assert!(DRAIN_MAX.as_millis() > REQUEST_TIMEOUT.as_millis());
const _: () = assert!(
    UNREADY_PAUSE.as_secs()
        + DRAIN_MAX.as_secs()
        + CONSUMERS_STOP_MAX.as_secs()
        + FLUSH_MAX.as_secs()
        + TELEMETRY_MAX.as_secs()
        < 30,
    "a shutdown fits into the grace that Kubernetes gives by default"
);
