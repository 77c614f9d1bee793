//! Others write the same stream at the same time.

use std::{future::IntoFuture, time::Duration};

use annalist::{App, AppendError, CommandError, CommandOptions, ExecuteError, Expected, Read, Store, Version};
use tokio::task::JoinSet;

use super::{
    account::{Account, Check, InsufficientFunds, Withdraw},
    alice, app_with, balance,
    watched::{Act, Watched},
    withdraw,
};

/// Before the next append somebody else withdraws.
fn meanwhile_withdrawn(app: &App, watched: &Watched, cents: u64) {
    let app = app.clone();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move {
        withdraw(&app, cents).await;
    })));
}

#[tokio::test]
async fn a_conflict_loads_only_the_news_and_decides_again() {
    let (app, watched) = app_with(100).await;
    meanwhile_withdrawn(&app, &watched, 30);
    let receipt = withdraw(&app, 50).await;
    assert_eq!((receipt.reply, receipt.version, receipt.events), (20, Version::new(3), 1));
    let notes = watched.notes();
    // Mine, that of the other, mine again.
    assert_eq!(notes.appends.len(), 3);
    let stream = "account-alice".parse::<annalist::StreamId>().unwrap();
    let read = |after| Read::stream(stream.clone(), Version::new(after));
    assert_eq!(notes.reads, [read(0), read(0), read(1)]);
    // The same command makes the same event again.
    assert_eq!(notes.appends[0].entries[0].events, notes.appends[2].entries[0].events);
    assert_eq!(notes.appends[2].entries[0].expected, Expected::Exact(Version::new(2)));
}

#[tokio::test]
async fn what_was_decided_before_a_conflict_does_not_count() {
    let (app, watched) = app_with(100).await;
    meanwhile_withdrawn(&app, &watched, 70);
    let refused = app.on::<Account>(alice()).execute(Withdraw { cents: 50 }).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(InsufficientFunds { left: 30 }))), "{refused:?}");
    assert_eq!(balance(&app).await, 30);
}

#[tokio::test]
async fn an_answer_without_events_is_not_stale_either() {
    let (app, watched) = app_with(100).await;
    meanwhile_withdrawn(&app, &watched, 70);
    let receipt = app.on::<Account>(alice()).execute(Check { cents: 50 }).await.unwrap();
    assert_eq!((receipt.reply, receipt.events, receipt.version), (false, 0, Version::new(2)));
    assert_eq!(receipt.cursor, app.head().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded() {
    let (app, watched) = app_with(100).await;
    let stream: annalist::StreamId = "account-alice".parse().unwrap();
    let (expected, actual) = (Expected::Exact(Version::new(1)), Version::new(2));
    for _ in 0..CommandOptions::default().attempts_max {
        let conflict = AppendError::Conflict { stream: stream.clone(), expected, actual };
        watched.notes().at_appends.push_back(Act::Refuse(conflict));
    }
    let refused = app.on::<Account>(alice()).execute(Withdraw { cents: 50 }).await;
    let Err(ExecuteError::Failed(error @ CommandError::Contended { attempts: 32, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert!(error.is_retryable());
    assert_eq!(withdraw(&app, 50).await.reply, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_concurrent_withdrawals_never_overdraw() {
    let mut options = CommandOptions::default();
    (options.attempts_max, options.backoff_max) = (1000, Duration::from_millis(20));
    let app = App::open(Store::memory()).command_options(options).start().await.unwrap();
    super::deposit(&app, 60).await;
    let mut running = JoinSet::new();
    for _ in 0..100 {
        running.spawn(app.on::<Account>(alice()).execute(Withdraw { cents: 1 }).into_future());
    }
    let (mut replies, mut rejected) = (Vec::new(), 0);
    while let Some(done) = running.join_next().await {
        match done.unwrap() {
            Ok(receipt) => replies.push(receipt.reply),
            Err(ExecuteError::Rejected(InsufficientFunds { left: 0 })) => rejected += 1,
            Err(other) => panic!("{other}"),
        }
    }
    replies.sort_unstable();
    // Each that was accepted saw a balance that nobody else saw.
    assert_eq!(replies, (0..60).collect::<Vec<_>>());
    assert_eq!((rejected, balance(&app).await), (40, 0));
}
