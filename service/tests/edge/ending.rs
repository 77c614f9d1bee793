//! The order in which a service ends.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use annalist::{
    CommandError, ExecuteError,
    outbox::{MemoryPublisher, Outbox},
};
use annalist_service::{Service, Stop};
use axum::{Router, routing::get};
use tokio::sync::Notify;

use super::account::{Account, Post, http, public, soon, started, wiring};

/// A request in flight is finished, then consumers are told, who may still record; then outboxes are emptied, then the store
/// is closed.
#[tokio::test]
async fn each_step_waits_for_the_one_before() {
    let (said, broker) = (Arc::new(Mutex::new(Vec::new())), MemoryPublisher::new());
    let say = {
        let said = Arc::clone(&said);
        move |what: &'static str| said.lock().unwrap().push(what)
    };
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (arrived, go, say) = (Arc::clone(&arrived), Arc::clone(&go), say.clone());
        get(async move || {
            arrived.notify_one();
            go.notified().await;
            say("request");
            "done"
        })
    };
    let app = wiring().outbox(Outbox::new(broker.clone()).map(public));
    let service = Service::new("accounts", app).routes(move |_| Router::new().route("/slow", slow)).ending(soon());
    let told = say.clone();
    let service = service.consumer("messages", move |app, stop: Stop| async move {
        stop.stopped().await;
        app.on::<Account>("alice".to_owned()).execute(Post { cents: 5 }).await.unwrap();
        told("consumer");
    });
    let running = started(service).await;
    let app = running.app().clone();
    let request = tokio::spawn(http().get(format!("http://{}/slow", running.addr())).send());
    arrived.notified().await;
    let shutdown = tokio::spawn(running.shutdown());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(said.lock().unwrap().is_empty());
    go.notify_one();
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
    shutdown.await.unwrap().unwrap();
    assert_eq!(*said.lock().unwrap(), ["request", "consumer"]);
    assert_eq!(broker.messages().len(), 1);
    let late = app.on::<Account>("alice".to_owned()).execute(Post { cents: 5 }).await;
    assert!(matches!(late, Err(ExecuteError::Failed(CommandError::Closed))), "{late:?}");
}

/// Neither a request nor a consumer nor a broker that is away holds it up beyond its bound.
#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let broker = MemoryPublisher::new();
    broker.go_down();
    let app = wiring().outbox(Outbox::new(broker).map(public));
    let mut ending = soon();
    for bound in [&mut ending.drain_max, &mut ending.consumers_max, &mut ending.flush_max] {
        *bound = Duration::from_millis(20);
    }
    let arrived = Arc::new(Notify::new());
    let hang = {
        let arrived = Arc::clone(&arrived);
        get(async move || {
            arrived.notify_one();
            std::future::pending::<&'static str>().await
        })
    };
    let service = Service::new("accounts", app).routes(move |_| Router::new().route("/hang", hang)).ending(ending);
    let running = started(service.consumer("deaf", |_, _| std::future::pending())).await;
    running.app().on::<Account>("alice".to_owned()).execute(Post { cents: 5 }).await.unwrap();
    let _request = tokio::spawn(http().get(format!("http://{}/hang", running.addr())).send());
    arrived.notified().await;
    running.shutdown().await.unwrap();
}
