//! The way of a command can be followed through links: command, its events, projection, saga, the command of the saga, outbox.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use annalist::{
    App, EventStore, Position, Read, RecordedEvent, Store, TraceContext,
    outbox::{MemoryPublisher, Outbox},
};
use tracing::{
    Event, Metadata, Span, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan};

use crate::bank::{Account, Balances, Deposit, Thanks, public};

#[derive(Clone, Default, Debug)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    links: Vec<String>,
}

/// Keeps what it sees of spans, as a telemetry layer would.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Seen>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("annalist")
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent().map(|parent| parent.id().into_u64()));
        let mut seen = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut Fields(&mut seen.fields));
        self.0.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut spans = self.0.lock().unwrap();
        values.record(&mut Fields(&mut spans.get_mut(&id.into_u64()).unwrap().fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "annalist.link" {
            return;
        }
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let span = context.event_span(event).expect("a link is said within a span").id().into_u64();
        self.0.lock().unwrap().get_mut(&span).unwrap().links.push(fields["link.traceparent"].clone());
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Spans {
    /// The spans with this name of which this is true.
    fn find(&self, name: &str, wanted: impl Fn(&Seen) -> bool) -> Vec<(u64, Seen)> {
        let spans = self.0.lock().unwrap();
        let found = spans.iter().filter(|(_, seen)| seen.name == name && wanted(seen));
        found.map(|(id, seen)| (*id, seen.clone())).collect()
    }

    /// The only one.
    #[track_caller]
    fn one(&self, name: &str, wanted: impl Fn(&Seen) -> bool) -> (u64, Seen) {
        let mut found = self.find(name, wanted);
        assert_eq!(found.len(), 1, "{name}: {found:?} of {:#?}", self.0.lock().unwrap());
        found.remove(0)
    }
}

/// The trace context of a span, as a telemetry library would say it.
fn traceparent(span: u64) -> String {
    format!("00-0af7651916cd43dd8448eb211c80319c-{span:016x}-01")
}

fn current() -> Option<TraceContext> {
    let traceparent = traceparent(Span::current().id()?.into_u64());
    Some(TraceContext { traceparent, tracestate: Some("test=1".to_owned()) })
}

async fn log(store: &dyn EventStore) -> Vec<RecordedEvent> {
    store.read(Read::all(Position::ZERO)).await.unwrap().next().await.unwrap()
}

fn position(seen: &Seen, event: &RecordedEvent) -> bool {
    seen.fields.get("position") == Some(&event.position.to_string())
}

#[tokio::test]
async fn a_command_is_followed_by_links_to_everything_that_it_causes() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let (store, broker) = (Store::memory(), MemoryPublisher::new());
    let app = App::open(store.clone()).with_trace_context(current).projection(Balances).saga::<Thanks>();
    let app = app.outbox(Outbox::new(broker.clone()).map_events(public)).start().await.unwrap();
    let deposit = Deposit { account: "alice".to_owned(), cents: 5 };
    app.on::<Account>("alice".to_owned()).execute(deposit).correlation("order-7").await.unwrap();
    app.saga::<Thanks>().unwrap().idle().await.unwrap();
    let head = app.relays()[0].drained().await.unwrap();
    app.projections().all_reached(head, Duration::from_secs(30)).await.unwrap();

    let log = log(&**app.store().events()).await;
    let of = |category: &str| log.iter().filter(|event| event.category() == category).collect::<Vec<_>>();
    let (deposits, records) = (of("account"), of("saga.thanks"));
    let ([deposited, thanked], [taken, ..]) = (&deposits[..], &records[..]) else { panic!("{log:#?}") };

    // The command's span has the fixed fields, and its event names it.
    let (command, seen) = spans.one("annalist.command", |seen| seen.fields["stream_id"] == "account-alice");
    assert_eq!(seen.parent, None);
    assert_eq!((seen.fields["correlation_id"].as_str(), seen.fields["command"].as_str()), ("order-7", "deposit"));
    assert!(seen.fields.contains_key("command_id") && position(&seen, deposited), "{seen:?}");
    let (_, append) = spans.one("annalist.append", |seen| position(seen, deposited));
    assert_eq!(append.parent, Some(command), "{append:?}");
    assert_eq!(append.fields["command_id"], seen.fields["command_id"]);
    assert_eq!(deposited.metadata().traceparent, Some(traceparent(command)));
    assert_eq!(deposited.metadata().tracestate.as_deref(), Some("test=1"));

    // What handles the event is linked to the command, and is no child of anything.
    let linked = |to: u64| move |seen: &Seen| seen.links.contains(&traceparent(to));
    let (intake, seen) = spans.one("annalist.saga", linked(command));
    assert_eq!((seen.parent, seen.fields["instance"].as_str()), (None, "alice"));
    let projected =
        spans.find("annalist.projection", |seen| linked(command)(seen) && seen.fields["projection"] == "balances");
    assert!(!projected.is_empty() && projected.iter().all(|(_, seen)| seen.parent.is_none()), "{projected:?}");
    assert!(!spans.find("annalist.outbox", linked(command)).is_empty());

    // The saga's record names the span that took the event in; the command it sends is linked to that.
    assert_eq!(taken.metadata().traceparent, Some(traceparent(intake)));
    let (dispatch, seen) = spans.one("annalist.saga", |seen| seen.fields.contains_key("effect_id"));
    assert_eq!((seen.parent, &seen.links), (None, &vec![traceparent(intake)]));
    let (sent, seen) = spans.one("annalist.command", |seen| seen.parent == Some(dispatch));
    assert_eq!(seen.fields["correlation_id"], "order-7", "one conversation");
    assert_eq!(thanked.metadata().traceparent, Some(traceparent(sent)));

    // And what that records is published, linked in its turn, and goes out with its trace context.
    assert!(!spans.find("annalist.outbox", linked(sent)).is_empty());
    let traces: Vec<_> = broker.messages().into_iter().filter_map(|message| message.metadata.traceparent).collect();
    assert_eq!(traces, [traceparent(command), traceparent(sent)]);
    app.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_batch_has_few_links_however_many_events_it_has() {
    let store = Store::memory();
    let app = App::open(store.clone()).start().await.unwrap();
    for number in 0..100 {
        let deposit = Deposit { account: "alice".to_owned(), cents: 1 };
        let command = app.on::<Account>("alice".to_owned()).execute(deposit);
        // Two commands to a trace.
        command.traceparent(traceparent(number / 2)).await.unwrap();
    }
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let app = App::open(store).projection(Balances).start().await.unwrap();
    let head = app.head().await.unwrap();
    app.projections().all_reached(head, Duration::from_secs(30)).await.unwrap();
    let batches = spans.find("annalist.projection", |_| true);
    let (_, first) = &batches[0];
    assert_eq!(first.fields["events"], "100", "one batch");
    assert_eq!(first.links, (0..32).map(traceparent).collect::<Vec<_>>(), "each trace once, and no more than that");
}
