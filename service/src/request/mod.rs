//! What holds a request together: its conversation, its trace, its deadline.

mod correlation;
mod trace;

mod context;
mod layer;

#[cfg(test)]
mod tests;

pub use context::{
    CAUSATION_ID, CORRELATION_ID, DEGRADED, IDEMPOTENCY_KEY, REQUEST_TIMEOUT, RequestContext, circumstances,
};
pub use correlation::CorrelationId;
pub use layer::{RequestLayer, WithContext};
pub use trace::{TRACEPARENT, TRACESTATE, TraceContext};
