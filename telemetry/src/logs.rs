//! Log lines as JSON, each with the conversation that it belongs to.

use std::{
    fmt::Debug,
    io::Write,
    sync::{Mutex, OnceLock, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    EnvFilter, Layer, fmt,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{clock, spans::trace_id_of};

/// The fields of spans that every line within them repeats, so that a conversation can be found by one search.
const CARRIED: [&str; 3] = ["correlation_id", "request_id", "trace_id"];

/// A layer for `tracing` that writes each event as one JSON object in a line: `time`, `level`, `target`, `message`, the
/// event's fields, `span` (the innermost), and `correlation_id`, `request_id`, `trace_id` of the request around it. Outside of
/// requests, in a projection, a saga, an outbox or an inbox, the `trace_id` is that of the trace that is sent, if there is one.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: Mutex<W>,
    dispatch: OnceLock<WeakDispatch>,
}

/// What a span has to say for the lines within it.
struct Carried(Map<String, Value>);

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Writes lines there.
    pub const fn new(out: W) -> Self {
        Self { out: Mutex::new(out), dispatch: OnceLock::new() }
    }

    /// The trace of the spans around an event, also of those that are not told in lines themselves.
    fn trace_id<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Option<String>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade)?;
        let innermost = match event.parent() {
            Some(id) => Some(id.clone()),
            None if event.is_contextual() => context.current_span().id().cloned(),
            None => None,
        };
        let around = context.event_scope(event).into_iter().flatten().map(|span| span.id());
        innermost.into_iter().chain(around).find_map(|id| trace_id_of(&id, &dispatch))
    }
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogFormat {
    /// For programs: [`JsonLines`].
    Json,
    /// For people.
    #[default]
    Text,
}

/// Sends log lines to standard error as JSON: the levels that the variable `RUST_LOG` says, `info` without it. Does nothing if
/// the program has set up its logs otherwise.
pub fn init_logs() {
    // An error means that there is a subscriber already, which is what the documentation says.
    _ = tracing_subscriber::registry().with(lines(LogFormat::Json)).try_init();
}

/// Lines on standard error: those that `RUST_LOG` wants, but not what says what spans are linked to.
pub(crate) fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    if let Ok(directive) = "annalist.link=off".parse() {
        filter = filter.add_directive(directive);
    }
    match format {
        LogFormat::Json => JsonLines::new(std::io::stderr()).with_filter(filter).boxed(),
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_filter(filter).boxed(),
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer is part of one subscriber.
        _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let carried = fields.carried();
        if !carried.is_empty() {
            span.extensions_mut().insert(Carried(carried));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        let new = fields.carried();
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Carried>() {
            Some(Carried(carried)) => carried.extend(new),
            None => extensions.insert(Carried(new)),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("time".to_owned(), clock::now().to_string().into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        if let Some(scope) = context.event_scope(event) {
            let mut spans = scope.peekable();
            if let Some(innermost) = spans.peek() {
                line.insert("span".to_owned(), innermost.name().into());
            }
            for span in spans {
                if let Some(Carried(carried)) = span.extensions().get::<Carried>() {
                    // An inner span knows better.
                    carried.iter().for_each(|(name, value)| _ = line.entry(name).or_insert_with(|| value.clone()));
                }
            }
        }
        if !line.contains_key("trace_id")
            && let Some(trace) = self.trace_id(event, &context)
        {
            line.insert("trace_id".to_owned(), trace.into());
        }
        line.extend(fields.0);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // Nobody can be told that a log line could not be written.
        _ = self.out.lock().unwrap_or_else(PoisonError::into_inner).write_all(text.as_bytes());
    }
}

/// The fields of a span or an event, as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn carried(mut self) -> Map<String, Value> {
        self.0.retain(|name, _| CARRIED.contains(&name.as_str()));
        self.0
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}
