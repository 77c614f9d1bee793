//! The end of an app.

use annalist::{App, CommandError, CommandOptions, ExecuteError, Store, StoreError};
use tokio::sync::oneshot;

use super::{
    account::{Account, Check},
    app_with, deposit,
    watched::Act,
};

#[tokio::test]
async fn commands_in_flight_are_finished_and_later_ones_are_told() {
    let (app, watched) = app_with(0).await;
    let (go, gone) = oneshot::channel();
    let (begun, beginning) = oneshot::channel();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async {
        begun.send(()).unwrap();
        gone.await.unwrap();
    })));
    let in_flight = tokio::spawn({
        let app = app.clone();
        async move { deposit(&app, 5).await }
    });
    beginning.await.unwrap();
    let ending = tokio::spawn({
        let app = app.clone();
        async move { app.shutdown().await }
    });
    while !is_closed(&app).await {
        tokio::task::yield_now().await;
    }
    assert!(!ending.is_finished(), "it waits for the command in flight");
    go.send(()).unwrap();
    assert_eq!(in_flight.await.unwrap().reply, 5);
    assert_eq!(ending.await.unwrap(), Ok(()));
}

async fn is_closed(app: &App) -> bool {
    let answer = app.on::<Account>("bob".to_owned()).execute(Check { cents: 1 }).await;
    matches!(answer, Err(ExecuteError::Failed(CommandError::Closed)))
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let (app, watched) = app_with(0).await;
    let (_never, gone) = oneshot::channel::<()>();
    let (begun, beginning) = oneshot::channel();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async {
        begun.send(()).unwrap();
        _ = gone.await;
    })));
    let in_flight = tokio::spawn({
        let app = app.clone();
        async move { deposit(&app, 5).await }
    });
    beginning.await.unwrap();
    let begun = tokio::time::Instant::now();
    app.shutdown().await.unwrap();
    assert_eq!(begun.elapsed(), CommandOptions::default().shutdown_grace);
    assert!(!in_flight.is_finished());
}

#[tokio::test]
async fn a_shutdown_closes_the_store_and_may_be_repeated() {
    let app = App::open(Store::memory()).start().await.unwrap();
    deposit(&app, 5).await;
    app.shutdown().await.unwrap();
    app.shutdown().await.unwrap();
    assert_eq!(app.head().await, Err(StoreError::Closed));
    assert!(is_closed(&app).await);
}
