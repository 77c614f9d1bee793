//! W3C trace context: which trace a request belongs to, and which span of it called.

use std::{fmt, sync::Arc};

use annalist::Env;
use http::{HeaderMap, HeaderName};

use crate::limits::TRACESTATE_BYTES_MAX;

/// The position of a request in a trace, as the W3C headers `traceparent` and `tracestate` carry it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
    state: Option<Arc<str>>,
}

/// The W3C header of the trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The W3C header of what vendors add to the trace.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The bits of the flags that this version of the standard defines: sampled, and a random trace id.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;

impl TraceContext {
    /// Reads the headers. `None` when `traceparent` is not one; a `tracestate` that is too long or not plain ASCII is left out.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.splitn(5, '-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (version, trace_id) = (hex(version, 2)?, hex(trace, 32)?);
        let (span_id, flags) = (u64::try_from(hex(span, 16)?).ok()?, u8::try_from(hex(flags, 2)?).ok()?);
        // Later versions may append something; 255 is none, and neither are zeros.
        let known = version < 0xff && (version > 0 || parts.next().is_none());
        if !known || trace_id == 0 || span_id == 0 {
            return None;
        }
        let fits = |state: &&str| {
            (1..=TRACESTATE_BYTES_MAX).contains(&state.len()) && state.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        Some(Self { trace_id, span_id, flags: flags & KNOWN_FLAGS, state: tracestate.filter(fits).map(Arc::from) })
    }

    /// The caller's, as a request's headers have it.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self::parse(text(&TRACEPARENT)?, text(&TRACESTATE))
    }

    /// The beginning of a trace. It is marked as sampled: nobody has decided against it, and without the mark nobody after
    /// this would record it.
    #[must_use]
    pub fn begin(env: &dyn Env) -> Self {
        Self { trace_id: env.new_id().as_u128(), span_id: span_id(env), flags: SAMPLED, state: None }
    }

    /// The same trace, one span further in.
    #[must_use]
    pub fn child(&self, env: &dyn Env) -> Self {
        Self { span_id: span_id(env), ..self.clone() }
    }

    /// The trace, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span, as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// What goes into the header `tracestate`.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

impl TryFrom<annalist::TraceContext> for TraceContext {
    type Error = ();

    fn try_from(text: annalist::TraceContext) -> Result<Self, ()> {
        Self::parse(&text.traceparent, text.tracestate.as_deref()).ok_or(())
    }
}

/// What goes into the header `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// The lower half of a new id, which is the random one.
fn span_id(env: &dyn Env) -> u64 {
    let (_, low) = env.new_id().as_u64_pair();
    low.max(1)
}

/// Exactly so many digits, lower case as the standard wants it.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}
