//! Hot aggregates are not loaded each time, and are never wrong.

use std::time::Duration;

use annalist::{App, CommandOptions, ExecuteError, Read, SnapshotPolicy, StreamId, Version};
use annalist_core::Snapshots;

use super::{
    account::{Account, Check, Deposit, InsufficientFunds, Withdraw},
    alice, app_on, balance, deposit,
    watched::{Act, Notes, Watched},
    withdraw,
};

fn options(cached: u32) -> CommandOptions {
    let mut options = CommandOptions::default();
    (options.cached_aggregates_max, options.attempts_max, options.backoff_max) =
        (cached, 1000, Duration::from_millis(5));
    options
}

/// An app that keeps so many aggregates and has used one, and another app on the same store.
async fn two_apps(cached: u32) -> (App, App, Watched) {
    let watched = Watched::default();
    let app = App::open(watched.store()).command_options(options(cached)).start().await.unwrap();
    deposit(&app, 100).await;
    *watched.notes() = Notes::default();
    let other = app_on(&watched).await;
    (app, other, watched)
}

fn reads(watched: &Watched) -> Vec<Read> {
    std::mem::take(&mut watched.notes().reads)
}

fn behind(version: u64) -> Read {
    Read::stream(StreamId::new("account-alice").unwrap(), Version::new(version))
}

#[tokio::test]
async fn a_hot_aggregate_is_not_read_again() {
    let (app, _, watched) = two_apps(1).await;
    for left in (0..10).rev() {
        let receipt = withdraw(&app, 10).await;
        assert_eq!((receipt.reply, receipt.version), (left * 10, Version::new(11 - left)));
    }
    assert_eq!(reads(&watched), []);
    assert_eq!(balance(&app).await, 0);
}

#[tokio::test]
async fn without_one_it_is_read_each_time() {
    let (app, _, watched) = two_apps(0).await;
    withdraw(&app, 10).await;
    withdraw(&app, 10).await;
    assert_eq!(reads(&watched), [behind(0), behind(0)]);
}

#[tokio::test]
async fn a_rejection_is_not_answered_from_an_old_state() {
    let (app, other, watched) = two_apps(1).await;
    deposit(&other, 100).await;
    reads(&watched);
    assert_eq!(withdraw(&app, 150).await.reply, 50);
    assert_eq!(reads(&watched), [behind(1)], "only what is new is read");
    let refused = app.on::<Account>(alice()).execute(Withdraw { cents: 60 }).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(InsufficientFunds { left: 50 }))), "{refused:?}");
    assert_eq!(reads(&watched), [behind(3)], "it is asked whether there is anything new");
}

#[tokio::test]
async fn nothing_is_accepted_on_an_old_state() {
    let (app, other, watched) = two_apps(1).await;
    withdraw(&other, 80).await;
    let refused = app.on::<Account>(alice()).execute(Withdraw { cents: 50 }).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(InsufficientFunds { left: 20 }))), "{refused:?}");
    withdraw(&other, 5).await;
    reads(&watched);
    // The conflict was to be expected: it costs no pause and no attempt.
    let receipt = withdraw(&app, 5).await;
    assert_eq!((receipt.reply, receipt.version), (10, Version::new(4)));
    assert_eq!(reads(&watched), [behind(2)]);
}

#[tokio::test]
async fn an_answer_without_events_is_not_old_either() {
    let (app, other, _) = two_apps(1).await;
    withdraw(&other, 80).await;
    let receipt = app.on::<Account>(alice()).execute(Check { cents: 50 }).await.unwrap();
    assert_eq!((receipt.reply, receipt.version), (false, Version::new(2)));
}

#[tokio::test]
async fn the_longest_unused_goes_first() {
    let (app, _, watched) = two_apps(2).await;
    let deposit = async |who: &str| {
        app.on::<Account>(who.to_owned()).execute(Deposit { cents: 1 }).await.unwrap();
        reads(&watched).len()
    };
    assert_eq!(deposit("bob").await, 1);
    assert_eq!(deposit("alice").await, 0);
    assert_eq!(deposit("cy").await, 1);
    assert_eq!((deposit("alice").await, deposit("cy").await, deposit("bob").await), (0, 0, 1));
}

#[tokio::test]
async fn whoever_comes_meanwhile_loads_its_own_and_the_later_state_stays() {
    let (app, _, watched) = two_apps(1).await;
    let meanwhile = app.clone();
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move {
        withdraw(&meanwhile, 10).await;
    })));
    assert_eq!(withdraw(&app, 10).await.reply, 80);
    assert_eq!(reads(&watched), [behind(0), behind(1)]);
    assert_eq!(withdraw(&app, 10).await.reply, 70);
    assert_eq!(reads(&watched), []);
}

#[tokio::test]
async fn snapshots_are_taken_of_hot_aggregates_too() {
    let watched = Watched::default();
    let app = App::open(watched.store()).command_options(options(1)).snapshots::<Account>(SnapshotPolicy::every(2));
    let app = app.start().await.unwrap();
    for kept in [None, Some(2), Some(2), Some(4), Some(4), Some(6)] {
        deposit(&app, 1).await;
        let snapshot = Snapshots::load(&watched.memory, &StreamId::new("account-alice").unwrap()).await.unwrap();
        assert_eq!(snapshot.map(|snapshot| snapshot.version.get()), kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_never_overdraw_what_both_keep() {
    let (app, _, watched) = two_apps(8).await;
    let other = App::open(watched.store()).command_options(options(8)).start().await.unwrap();
    let mut running = tokio::task::JoinSet::new();
    for turn in 0..200 {
        let app = if turn % 2 == 0 { app.clone() } else { other.clone() };
        running.spawn(async move { app.on::<Account>(alice()).execute(Withdraw { cents: 1 }).await });
    }
    let (mut accepted, mut rejected) = (0, 0);
    while let Some(done) = running.join_next().await {
        match done.unwrap() {
            Ok(_) => accepted += 1,
            Err(ExecuteError::Rejected(InsufficientFunds { left: 0 })) => rejected += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((accepted, rejected, balance(&app).await), (100, 100, 0));
}
