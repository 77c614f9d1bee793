//! Callers who do not wait for ever, and callers who go away.

use std::{future::IntoFuture, time::Duration};

use annalist::{App, AppendError, CommandError, CommandOptions, Deadline, ExecuteError, Receipt};
use futures_util::FutureExt;
use tokio::{sync::oneshot, time::Instant};

use super::{
    account::{Account, InsufficientFunds, Withdraw},
    alice, app_with, balance,
    watched::{Act, Watched},
};

const SECOND: Duration = Duration::from_secs(1);

type Withdrawn = Result<Receipt<u64>, ExecuteError<InsufficientFunds>>;

async fn withdraw_within(app: &App, deadline: impl Into<Deadline>) -> Withdrawn {
    app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).deadline(deadline).await
}

/// The next append does not begin for an hour.
fn hang(watched: &Watched) {
    let hour = Act::First(Box::pin(tokio::time::sleep(Duration::from_hours(1))));
    watched.notes().at_appends.push_back(hour);
}

#[track_caller]
fn assert_exceeded(failed: Withdrawn) {
    let Err(ExecuteError::Failed(error @ CommandError::DeadlineExceeded)) = failed else { panic!("{failed:?}") };
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_waits_no_longer_than_that() {
    let watched = Watched::default();
    let mut options = CommandOptions::default();
    options.in_flight_max = 1;
    let app = App::open(watched.store()).command_options(options).start().await.unwrap();
    super::deposit(&app, 100).await;
    hang(&watched);
    let mut first = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).into_future();
    assert!(first.as_mut().now_or_never().is_none());
    let begun = Instant::now();
    assert_exceeded(withdraw_within(&app, SECOND).await);
    assert_eq!(begun.elapsed(), SECOND);
    // The turn of one that is dropped goes to the next.
    drop(first);
    withdraw_within(&app, SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn loading_ends_with_it() {
    let (app, watched) = app_with(100).await;
    watched.notes().before_reads.push_back(Box::pin(tokio::time::sleep(2 * SECOND)));
    assert_exceeded(withdraw_within(&app, Instant::now() + SECOND).await);
    assert!(watched.notes().appends.is_empty());
}

#[tokio::test(start_paused = true)]
async fn attempts_and_pauses_end_with_it() {
    let (app, watched) = app_with(100).await;
    let refuse = || Act::Refuse(AppendError::Unavailable { why: "disk full".to_owned() });
    watched.notes().at_appends.extend((0..32).map(|_| refuse()));
    let begun = Instant::now();
    assert_exceeded(withdraw_within(&app, Duration::from_millis(100)).await);
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    assert!(watched.notes().appends.len() > 1);
    watched.notes().at_appends.clear();
    assert_eq!(balance(&app).await, 100);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_has_is_never_called_unrecorded() {
    let (app, watched) = app_with(100).await;
    hang(&watched);
    let failed = withdraw_within(&app, SECOND).await;
    let Err(ExecuteError::Failed(error @ CommandError::Unknown { key: None, .. })) = failed else {
        panic!("{failed:?}")
    };
    assert!(!error.is_retryable());
    hang(&watched);
    let execute = || app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1").deadline(SECOND);
    let failed = execute().await.unwrap_err();
    assert!(matches!(&failed, ExecuteError::Failed(CommandError::Unknown { key: Some(_), .. })), "{failed:?}");
    assert!(failed.is_retryable());
    assert_eq!(execute().await.unwrap().reply, 70);
}

#[tokio::test(start_paused = true)]
async fn there_is_one_by_default() {
    let (app, watched) = app_with(100).await;
    hang(&watched);
    let begun = Instant::now();
    let failed = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).await;
    assert!(matches!(failed, Err(ExecuteError::Failed(CommandError::Unknown { .. }))), "{failed:?}");
    assert_eq!(Some(begun.elapsed()), CommandOptions::default().deadline);
    hang(&watched);
    withdraw_within(&app, Duration::MAX).await.unwrap();
    assert!(begun.elapsed() > Duration::from_hours(1));
}

#[tokio::test]
async fn a_dropped_command_records_nothing_before_its_append() {
    let (app, watched) = app_with(100).await;
    let (_never, gone) = oneshot::channel::<()>();
    watched.notes().before_reads.push_back(Box::pin(async { _ = gone.await }));
    let mut dropped = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1").into_future();
    assert!(dropped.as_mut().now_or_never().is_none());
    drop(dropped);
    assert!(watched.notes().appends.is_empty());
    let receipt = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1").await.unwrap();
    assert_eq!((receipt.reply, receipt.repeated), (70, false));
}

#[tokio::test]
async fn a_dropped_command_may_be_recorded_behind_its_append_and_its_key_tells() {
    let (app, watched) = app_with(100).await;
    let (_never, gone) = oneshot::channel::<()>();
    watched.notes().at_appends.push_back(Act::RecordAndHang(gone));
    let execute = || app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1");
    let mut dropped = execute().into_future();
    assert!(dropped.as_mut().now_or_never().is_none());
    drop(dropped);
    let receipt = execute().await.unwrap();
    assert_eq!((receipt.reply, receipt.repeated), (70, true));
    assert_eq!(balance(&app).await, 70);
}
