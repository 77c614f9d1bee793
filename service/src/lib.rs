//! The edge of a service that is made with [`annalist`]: what stands between its commands and views and the rest of the
//! world.
//!
//! [`Service`] puts all of it around an app; each part can be used alone.
//!
//! * [`request`]: correlation id, causation, W3C trace and deadline of a request, from header to header through log lines,
//!   commands and events.
//! * [`outbound`]: calls to other services, which do not compile without time-out, retry budget, circuit breaker, bulkhead and
//!   a decision about the fallback.
//! * [`InboundOptions`], [`IdempotencyKey`], [`Accepted`]: what is let in; [`Problem`]: what is answered when something goes
//!   wrong.
//! * [`ApiVersion`]: versions of an API side by side; [`Health`]: what probes ask; [`Telemetry`]: log lines as JSON, and
//!   traces.

mod limits;

mod telemetry;

pub mod request;

mod problem;

mod breaker;

pub mod outbound;

mod inbound;

mod health;

mod version;

pub mod architecture;

mod service;

pub use breaker::{
    Breaker, BreakerCounts, BreakerLayer, BreakerOpen, BreakerPolicy, BreakerState, Guarded, Outcome, Permit,
    RatePolicy, Window,
};
pub use health::{Condition, Health, Part};
pub use inbound::{Accepted, IdempotencyKey, InboundOptions, Operation};
pub use problem::{PROBLEM_JSON, Problem};
pub use service::{Running, Service, ServiceError, ShutdownOptions, Stop};
pub use telemetry::{JsonLines, LogFormat, Telemetry, TelemetryBuilder, TelemetryError, init_logs};
pub use version::ApiVersion;

/// What metrics of your own are registered in, with [`Service::metrics`].
pub use prometheus_client;
