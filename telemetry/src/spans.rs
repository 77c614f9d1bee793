//! From the spans of `tracing` to those of `OpenTelemetry`, by the contract of `docs/spans.md`.

use std::{collections::HashMap, fmt, sync::OnceLock};

use annalist_core::TraceContext;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceId, Tracer},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{
    Dispatch, Event, Level, Metadata, Span, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::Id,
};
use tracing_opentelemetry::{OpenTelemetrySpanExt, get_otel_context};
use tracing_subscriber::{Layer, layer, registry::LookupSpan};

/// The target of the tracing events that say: the span they are in is linked to this trace.
const LINK: &str = "annalist.link";

/// The target of the spans of requests by probes and scrapes: there are many, and nobody follows them.
pub const PROBE: &str = "annalist.probe";

/// Crates that have a part in sending spans: theirs would make more of them.
const SENDING: [&str; 6] = ["opentelemetry", "hyper", "reqwest", "h2", "rustls", "tower"];

/// Spans that last as long as a task, or tell of work of the store that belongs to no command; each with the field that the
/// span of the same name for a unit of work has.
const TASKS: [(&str, Option<&str>); 7] = [
    ("annalist.subscription", None),
    ("annalist.consumer", None),
    ("annalist.page", None),
    ("annalist.index", None),
    ("annalist.saga", Some("instance")),
    ("annalist.outbox", Some("messages")),
    ("annalist.inbox", Some("message_id")),
];

/// Where in a trace a span is, if it is one that something follows.
#[must_use]
pub fn trace_of(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| TraceContext {
        traceparent: format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8()),
        tracestate: Some(context.trace_state().header()).filter(|state| !state.is_empty()),
    })
}

/// The same of the current span.
#[must_use]
pub fn current() -> Option<TraceContext> {
    trace_of(&Span::current())
}

/// The shortest `traceparent` that there is, of version 00 of the W3C standard.
const TRACEPARENT_BYTES_MIN: usize = 55;

/// The trace that somebody else says by these headers, as 32 hexadecimal digits; `None` if `traceparent` is none.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<String> {
    // The propagator also takes numbers with fewer digits than the standard has.
    if traceparent.len() < TRACEPARENT_BYTES_MIN {
        return None;
    }
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    let trace = context.span().span_context().trace_id();
    (trace != TraceId::INVALID).then(|| trace.to_string())
}

/// The trace that a span is part of, if it is part of one.
pub(crate) fn trace_id_of(span: &Id, dispatch: &Dispatch) -> Option<String> {
    let context = get_otel_context(span, dispatch)?;
    let trace = context.span().span_context().trace_id();
    (trace != TraceId::INVALID).then(|| trace.to_string())
}

/// Whether a span is part of traces, or an event is told as part of its span.
pub(crate) fn is_traced(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    if target == LINK || target == PROBE || SENDING.iter().any(|sending| target.starts_with(sending)) {
        return false;
    }
    if metadata.is_event() {
        return *metadata.level() <= Level::INFO;
    }
    let level = if target.starts_with("annalist") { Level::DEBUG } else { Level::INFO };
    let is_task = |(name, unit): &(&str, Option<&str>)| {
        *name == metadata.name() && !unit.is_some_and(|unit| metadata.fields().field(unit).is_some())
    };
    *metadata.level() <= level && !TASKS.iter().any(is_task)
}

/// The spans of traces, and the events that say what they are linked to.
pub(crate) fn is_linked(metadata: &Metadata<'_>) -> bool {
    metadata.target() == LINK || (metadata.is_span() && is_traced(metadata))
}

/// Makes spans, each the child of what its fields `traceparent` and `tracestate` say, and of the kind that it is.
#[derive(Debug)]
pub(crate) struct Continuing<T>(pub(crate) T);

impl<T: Tracer> Tracer for Continuing<T> {
    type Span = T::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> T::Span {
        if let Some(kind) = kind_of(&builder.name) {
            builder.span_kind.get_or_insert(kind);
        }
        let mut headers = HashMap::new();
        if let Some(attributes) = &mut builder.attributes {
            attributes.retain(|attribute| {
                let is_header = matches!(attribute.key.as_str(), "traceparent" | "tracestate");
                if is_header {
                    headers.insert(attribute.key.as_str().to_owned(), attribute.value.as_str().into_owned());
                }
                !is_header
            });
        }
        if headers.is_empty() {
            return self.0.build_with_context(builder, parent);
        }
        let parent = TraceContextPropagator::new().extract_with_context(parent, &headers);
        self.0.build_with_context(builder, &parent)
    }
}

/// What a stage of the path is to others.
fn kind_of(name: &str) -> Option<SpanKind> {
    match name {
        "annalist.request" => Some(SpanKind::Server),
        "annalist.call" => Some(SpanKind::Client),
        "annalist.outbox" => Some(SpanKind::Producer),
        "annalist.inbox" => Some(SpanKind::Consumer),
        _ => None,
    }
}

/// Adds links to spans: what the tracing events with the target of links say.
#[derive(Debug, Default)]
pub(crate) struct Links(OnceLock<WeakDispatch>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Links {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer is part of one subscriber.
        _ = self.0.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
        let Some(span) = context.event_span(event).map(|span| span.id()) else { return };
        let mut linked = Linked::default();
        event.record(&mut linked);
        let linked = linked.context();
        if let Some(dispatch) = self.0.get().and_then(WeakDispatch::upgrade)
            && let Some(context) = get_otel_context(&span, &dispatch)
            && linked.is_valid()
        {
            context.span().add_link(linked, Vec::new());
        }
    }
}

/// The fields of an event that says what a span is linked to, under the names of their headers.
#[derive(Default)]
struct Linked(HashMap<String, String>);

impl Linked {
    fn context(&self) -> SpanContext {
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &self.0);
        context.span().span_context().clone()
    }
}

impl Visit for Linked {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(header) = field.name().strip_prefix("link.") {
            self.0.insert(header.to_owned(), value.to_owned());
        }
    }

    // Whatever is no text is no header.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
