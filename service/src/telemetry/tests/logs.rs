use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use crate::telemetry::JsonLines;

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
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
