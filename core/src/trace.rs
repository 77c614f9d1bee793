//! Where in a trace something is done.

/// The W3C trace context of what is being done, as text: what the headers `traceparent` and `tracestate` carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// `00-`, the trace, the span and the flags, as the header `traceparent` has them.
    pub traceparent: String,
    /// What the header `tracestate` has, if anything.
    pub tracestate: Option<String>,
}
