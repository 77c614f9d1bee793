use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt};

use crate::{JsonLines, current, setup::layers};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn lines(log: impl FnOnce()) -> Vec<Value> {
    let written = Written::default();
    let subscriber = tracing_subscriber::registry().with(JsonLines::new(written.clone()));
    tracing::subscriber::with_default(subscriber, log);
    written.lines()
}

/// The same while traces are made; of spans and events only `info` is for lines.
fn traced(log: impl FnOnce()) -> Vec<Value> {
    let written = Written::default();
    let lines = JsonLines::new(written.clone()).with_filter(EnvFilter::new("info"));
    let provider = SdkTracerProvider::builder().build();
    let subscriber = tracing_subscriber::registry().with(layers(&provider)).with(lines);
    tracing::subscriber::with_default(subscriber, log);
    written.lines()
}

impl Written {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn each_line_bears_the_conversation_around_it() {
    let lines = lines(|| {
        tracing::info!("outside");
        let request = tracing::info_span!("annalist.request", correlation_id = "order-7", trace_id = "t", path = "/");
        let _request = request.enter();
        tracing::info!(count = 3, ok = true, "in the request");
        let command = tracing::info_span!("annalist.append", correlation_id = tracing::field::Empty, command_id = "c");
        let _command = command.enter();
        tracing::warn!(error = "a \"quoted\"\nline", "further in");
        command.record("correlation_id", "order-8");
        tracing::warn!("it knows better");
    });
    let of = |field: &str| lines.iter().map(|line| line[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("correlation_id"), [Value::Null, "order-7".into(), "order-7".into(), "order-8".into()]);
    assert_eq!(of("trace_id"), [Value::Null, "t".into(), "t".into(), "t".into()]);
    assert_eq!(
        of("span"),
        [Value::Null, "annalist.request".into(), "annalist.append".into(), "annalist.append".into()]
    );
    assert_eq!((&lines[1]["count"], &lines[1]["ok"], &lines[1]["level"]), (&3.into(), &true.into(), &"INFO".into()));
    assert_eq!(lines[2]["error"], "a \"quoted\"\nline");
    assert_eq!(lines[2]["command_id"], Value::Null);
}

/// Also where the span itself is not told, and only where there is a trace; a request says it itself.
#[test]
fn each_line_bears_the_trace_that_is_sent() {
    let mut traces = Vec::new();
    let lines = traced(|| {
        let mut note = || traces.push(current().map(|trace| trace.traceparent[3..35].to_owned()));
        tracing::info!("outside");
        note();
        let task = tracing::info_span!(target: "annalist", "annalist.saga", saga = "s").entered();
        tracing::info!("in a task, which is no trace");
        note();
        let batch = tracing::debug_span!(target: "annalist", parent: None, "annalist.projection", events = 2).entered();
        tracing::info!("in a unit of work");
        note();
        let noise = tracing::debug_span!(target: "elsewhere", "noise").entered();
        tracing::info!(target: "annalist", parent: &*batch, "in the same, said so");
        drop((noise, batch, task));
        let request = tracing::info_span!(target: "annalist", "annalist.request", trace_id = "of the caller").entered();
        tracing::info!("in a request");
        drop(request);
        tracing::info_span!(target: "annalist", "annalist.saga", saga = "s", instance = "i").in_scope(|| {
            tracing::info!("in another unit of work");
            note();
        });
    });
    let told: Vec<_> = lines.iter().map(|line| line["trace_id"].as_str().map(str::to_owned)).collect();
    let [outside, task, batch, other] = traces.try_into().unwrap();
    assert_eq!((&outside, &task, batch.is_some(), batch == other), (&None, &None, true, false));
    assert_eq!(told, [None, None, batch.clone(), batch, Some("of the caller".to_owned()), other]);
}
