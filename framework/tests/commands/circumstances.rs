//! What travels with events, and where time and ids come from.

use std::time::Duration;

use annalist::{App, Circumstances, CommandError, EventId, ExecuteError, Metadata, NewEvent, TestEnv, TraceContext};
use uuid::Uuid;

use super::{
    account::{Account, Churn, Deposit},
    alice, app_with,
    watched::Watched,
};

fn last_event(watched: &Watched) -> NewEvent {
    watched.notes().appends.pop().unwrap().entries.remove(0).events.remove(0)
}

#[tokio::test]
async fn correlation_and_causation_begin_with_the_command() {
    let (app, watched) = app_with(0).await;
    let receipt = super::deposit(&app, 5).await;
    let command_id = Some(receipt.command_id.to_string());
    let expected = Metadata { correlation_id: command_id.clone(), causation_id: command_id, ..Metadata::default() };
    assert_eq!(last_event(&watched).metadata, expected);
}

#[tokio::test]
async fn circumstances_are_recorded() {
    let (app, watched) = app_with(0).await;
    let execute = app.on::<Account>(alice()).execute(Deposit { cents: 5 });
    let execute = execute.correlation("order-7").actor("bob").tenant("acme").traceparent("00-1-2-01").pair("ip", "::1");
    let receipt = execute.await.unwrap();
    let expected = Metadata {
        correlation_id: Some("order-7".to_owned()),
        causation_id: Some(receipt.command_id.to_string()),
        actor: Some("bob".to_owned()),
        tenant: Some("acme".to_owned()),
        traceparent: Some("00-1-2-01".to_owned()),
        tracestate: None,
        pairs: [("ip".to_owned(), "::1".to_owned())].into(),
    };
    assert_eq!(last_event(&watched).metadata, expected);
}

/// What the caller says goes before what surrounds it, field by field; a trace goes with its state.
#[tokio::test]
async fn what_the_caller_does_not_say_its_surroundings_say() {
    let watched = Watched::default();
    let of_request = Metadata {
        correlation_id: Some("request-1".to_owned()),
        causation_id: Some("call-1".to_owned()),
        actor: Some("bob".to_owned()),
        tenant: None,
        traceparent: Some("00-1-2-01".to_owned()),
        tracestate: Some("a=b".to_owned()),
        pairs: [("ip".to_owned(), "::1".to_owned())].into(),
    };
    let around = Circumstances { metadata: of_request.clone(), deadline: None };
    let app = App::open(watched.store()).circumstances(move || around.clone()).start().await.unwrap();
    super::deposit(&app, 5).await;
    assert_eq!(last_event(&watched).metadata, of_request);
    let execute = app.on::<Account>(alice()).execute(Deposit { cents: 5 });
    execute.correlation("order-7").traceparent("00-3-4-01").pair("ip", "::2").await.unwrap();
    let expected = Metadata {
        correlation_id: Some("order-7".to_owned()),
        traceparent: Some("00-3-4-01".to_owned()),
        tracestate: None,
        pairs: [("ip".to_owned(), "::2".to_owned())].into(),
        ..of_request
    };
    assert_eq!(last_event(&watched).metadata, expected);
}

/// The span of a command is further in than the request around it; what the caller says itself still goes first.
#[tokio::test]
async fn a_current_span_says_where_in_the_trace_a_command_is() {
    let watched = Watched::default();
    let around = || Circumstances {
        metadata: Metadata {
            traceparent: Some("00-1-2-01".to_owned()),
            tracestate: Some("a=b".to_owned()),
            ..Metadata::default()
        },
        deadline: None,
    };
    let current = || Some(TraceContext { traceparent: "00-1-9-01".to_owned(), tracestate: None });
    let app = App::open(watched.store()).circumstances(around).with_trace_context(current).start().await.unwrap();
    super::deposit(&app, 5).await;
    let traced = || {
        let metadata = last_event(&watched).metadata;
        (metadata.traceparent, metadata.tracestate)
    };
    assert_eq!(traced(), (Some("00-1-9-01".to_owned()), None));
    app.on::<Account>(alice()).execute(Deposit { cents: 5 }).traceparent("00-3-4-01").await.unwrap();
    assert_eq!(traced(), (Some("00-3-4-01".to_owned()), None));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_around_the_caller_holds_for_its_commands() {
    let watched = Watched::default();
    let around = Circumstances { deadline: Some(Duration::ZERO.into()), ..Circumstances::default() };
    let app = App::open(watched.store()).circumstances(move || around.clone()).start().await.unwrap();
    watched.notes().before_reads.push_back(Box::pin(tokio::time::sleep(Duration::from_secs(1))));
    let execute = || app.on::<Account>(alice()).execute(Deposit { cents: 5 });
    let failed = execute().await;
    assert!(matches!(failed, Err(ExecuteError::Failed(CommandError::DeadlineExceeded))), "{failed:?}");
    execute().deadline(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_cause_hands_on_its_correlation() {
    let (app, watched) = app_with(0).await;
    app.on::<Account>(alice()).execute(Deposit { cents: 5 }).correlation("order-7").await.unwrap();
    let mut events =
        app.store().events().read(annalist::Read::all_backward(annalist::Position::MAX).limit(1)).await.unwrap();
    let cause = events.next().await.unwrap().remove(0);
    app.on::<Account>(alice()).execute(Deposit { cents: 5 }).caused_by(&cause).await.unwrap();
    let caused = last_event(&watched).metadata;
    assert_eq!(caused.causation_id, Some(cause.id.to_string()));
    assert_eq!(caused.correlation_id.as_deref(), Some("order-7"));
    let id = EventId::new(Uuid::from_u128(3));
    app.on::<Account>(alice()).execute(Deposit { cents: 5 }).correlation("order-8").caused_by(id).await.unwrap();
    let caused = last_event(&watched).metadata;
    assert_eq!((caused.causation_id, caused.correlation_id), (Some(id.to_string()), Some("order-8".to_owned())));
}

#[tokio::test]
async fn ids_come_from_the_environment() {
    let events = async || {
        let watched = Watched::default();
        let app = App::open(watched.store()).with_env(TestEnv::default()).start().await.unwrap();
        super::deposit(&app, 5).await;
        app.on::<Account>(alice()).execute(Churn { times: 2 }).await.unwrap();
        let notes = watched.notes();
        notes.appends.iter().flat_map(|append| append.entries[0].events.clone()).collect::<Vec<_>>()
    };
    let first = events().await;
    assert_eq!(first.len(), 5);
    assert_eq!(first, events().await);
}
