//! Traces that go on from a command to whatever handles its events, without a tracing library.
//!
//! `docs/spans.md` in the repository is the contract: which spans there are, which fields they have, and how a telemetry
//! layer makes links of what is said here.

use std::{fmt, sync::Arc};

pub use annalist_core::TraceContext;
use annalist_core::{Metadata, RecordedEvent};
use tracing::level_filters::LevelFilter;

/// The target of the tracing events that say: the span they are in is linked to this trace. It never changes.
pub(crate) const LINK: &str = "annalist.link";

/// Most links of one span: as many traces as a person would follow from one batch.
const LINKS_MAX: usize = 32;

/// Events of one batch that are looked at for links: their circumstances are decoded for that.
const LINKED_EVENTS_MAX: usize = 256;

/// Knows the trace context of the current span, if someone has said how.
#[derive(Clone, Default)]
pub(crate) struct Tracer(Option<Arc<Current>>);

type Current = dyn Fn() -> Option<TraceContext> + Send + Sync;

impl Tracer {
    pub(crate) fn new(current: impl Fn() -> Option<TraceContext> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(current)))
    }

    /// Whether someone has said how.
    pub(crate) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The trace context of the current span.
    pub(crate) fn current(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(|current| current())
    }

    /// Notes the current trace context, unless another was given; that of what is around it if there is no current one.
    pub(crate) fn fill(&self, metadata: &mut Metadata, around: Option<TraceContext>) {
        if metadata.traceparent.is_none()
            && let Some(TraceContext { traceparent, tracestate }) = self.current().or(around)
        {
            (metadata.traceparent, metadata.tracestate) = (Some(traceparent), tracestate);
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.0.is_some()).finish()
    }
}

/// Links the current span to the traces in which these events were recorded.
pub(crate) fn link<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) {
    link_to(events.into_iter().map(RecordedEvent::metadata));
}

/// Links the current span to the traces that these circumstances name: to each once, and to no more than so many. Nothing
/// is looked at unless a subscriber wants something at that level.
pub(crate) fn link_to(circumstances: impl IntoIterator<Item = Metadata>) {
    // Not `enabled!`: filters of layers (tracing-subscriber 0.3) remember what they answered until the event comes, and when
    // none comes take it for their answer about the next span of this thread.
    if LevelFilter::current() < LevelFilter::DEBUG {
        return;
    }
    let mut linked = Vec::<String>::new();
    for Metadata { traceparent, tracestate, .. } in circumstances.into_iter().take(LINKED_EVENTS_MAX) {
        let Some(traceparent) = traceparent.filter(|traceparent| !linked.contains(traceparent)) else { continue };
        tracing::debug!(target: LINK, { link.traceparent = traceparent, link.tracestate = tracestate }, "linked");
        linked.push(traceparent);
        if linked.len() == LINKS_MAX {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::{Subscriber, span};
    use tracing_subscriber::{
        Layer,
        filter::filter_fn,
        layer::{Context, SubscriberExt},
    };

    use super::*;

    /// Counts spans.
    #[derive(Clone, Default)]
    struct Spans(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Spans {
        fn on_new_span(&self, _: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn looking_for_links_in_vain_keeps_no_span_from_a_layer() {
        let (spans, linked) = (Spans::default(), Spans::default());
        let only_spans = filter_fn(|metadata| !metadata.is_event());
        let everything = filter_fn(|_| true);
        let layers = spans.clone().with_filter(only_spans).and_then(linked.clone().with_filter(everything));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layers), || {
            for _ in 0..3 {
                link_to([Metadata::default()]);
                drop(tracing::info_span!("the next"));
            }
        });
        assert_eq!([spans, linked].map(|count| count.0.load(Ordering::SeqCst)), [3, 3]);
    }
}
