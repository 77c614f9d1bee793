//! What is recorded once per key.

use annalist::{AppendError, CommandError, CommandId, ExecuteError, Key, Receipt, Version};

use super::{
    account::{Account, Check, Churn, Deposit, InsufficientFunds, Withdraw},
    alice, app_on, app_with, balance, deposit,
    watched::Act,
    withdraw,
};

#[tokio::test]
async fn a_repetition_gets_the_recorded_reply_and_decides_nothing() {
    let (app, watched) = app_with(100).await;
    let execute = || app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1");
    let first = execute().await.unwrap();
    assert_eq!((first.reply, first.repeated), (70, false));
    deposit(&app, 1000).await;
    let noted = || {
        let notes = watched.notes();
        (notes.reads.len(), notes.appends.len())
    };
    let before = noted();
    let again = execute().await.unwrap();
    assert_eq!(again, as_repeated(first));
    assert_eq!(noted(), before);
    assert_eq!(balance(&app).await, 1070);
}

#[tokio::test]
async fn keys_outlive_the_app() {
    let (app, watched) = app_with(100).await;
    let first = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1").await.unwrap();
    let later = app_on(&watched).await;
    let again = later.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1").await.unwrap();
    assert_eq!(again, as_repeated(first));
}

#[tokio::test]
async fn one_key_is_for_one_command() {
    let (app, _) = app_with(100).await;
    let on = || app.on::<Account>(alice());
    on().execute(Withdraw { cents: 30 }).key("request-1").await.unwrap();
    let other_content = on().execute(Withdraw { cents: 31 }).key("request-1").await;
    let other_command = on().execute(Deposit { cents: 30 }).key("request-1").await;
    for refused in [other_content, other_command] {
        let key = Key::new("account-alice", "request-1").unwrap();
        let Err(ExecuteError::Failed(CommandError::KeyReused { key: reused })) = refused else { panic!("{refused:?}") };
        assert_eq!(reused, key);
    }
    assert_eq!(balance(&app).await, 70);
    let bob = app.on::<Account>("bob".to_owned()).execute(Deposit { cents: 5 }).key("request-1").await.unwrap();
    assert!(!bob.repeated, "another aggregate has keys of its own");
}

#[tokio::test]
async fn a_rejection_is_not_recorded() {
    let (app, _) = app_with(100).await;
    let execute = || app.on::<Account>(alice()).execute(Withdraw { cents: 150 }).key("request-1");
    let refused = execute().await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(InsufficientFunds { left: 100 }))), "{refused:?}");
    deposit(&app, 100).await;
    let receipt = execute().await.unwrap();
    assert_eq!((receipt.reply, receipt.repeated), (50, false));
}

#[tokio::test]
async fn an_answer_without_events_is_recorded_too() {
    let (app, _) = app_with(100).await;
    let execute = || app.on::<Account>(alice()).execute(Check { cents: 50 }).key("request-1");
    let first = execute().await.unwrap();
    assert_eq!((first.reply, first.events, first.version, first.repeated), (true, 0, Version::new(1), false));
    withdraw(&app, 80).await;
    let again = execute().await.unwrap();
    assert_eq!((again.reply, again.events, again.repeated), (true, 0, true));
    assert_eq!(again.cursor, first.cursor);
}

#[tokio::test]
async fn twins_sent_at_the_same_time_are_both_answered() {
    let (app, watched) = app_with(100).await;
    let execute = |app: &annalist::App| app.on::<Account>(alice()).execute(Withdraw { cents: 80 }).key("request-1");
    // The twin is recorded after this one has asked for the outcome, and before it loads: it would be refused.
    let twin = execute(&app);
    watched.notes().before_reads.push_back(Box::pin(async move { _ = twin.await.unwrap() }));
    let receipt = execute(&app).await.unwrap();
    assert_eq!((receipt.reply, receipt.repeated), (20, true));
    // The twin is recorded after this one has loaded, and before it appends.
    let other = |app: &annalist::App| app.on::<Account>(alice()).execute(Withdraw { cents: 5 }).key("request-2");
    let twin = other(&app);
    watched.notes().at_appends.push_back(Act::First(Box::pin(async move { _ = twin.await.unwrap() })));
    let receipt = other(&app).await.unwrap();
    assert_eq!((receipt.reply, receipt.repeated), (15, true));
    assert_eq!(balance(&app).await, 15);
}

#[tokio::test]
async fn ids_follow_from_the_key() {
    let id_of_events = async |key: &str| {
        let (app, watched) = app_with(100).await;
        let receipt = app.on::<Account>(alice()).execute(Churn { times: 2 }).key(key).await.unwrap();
        assert_eq!(receipt.command_id, CommandId::of_key(&Key::new("account-alice", key).unwrap()));
        let events = watched.notes().appends[0].entries[0].events.clone();
        assert_eq!(events.len(), 4);
        events.into_iter().map(|event| (event.id, event.payload, event.tags)).collect::<Vec<_>>()
    };
    let first = id_of_events("request-1").await;
    assert_eq!(first, id_of_events("request-1").await);
    let other = id_of_events("request-2").await;
    let mut ids: Vec<_> = first.iter().chain(&other).map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "every event has an id of its own");
    assert_ne!(first[1].1, other[1].1, "ids from the context follow from the key too");
}

#[tokio::test]
async fn an_unknown_outcome_with_a_key_is_asked_for() {
    let unknown = || AppendError::Unknown { why: "the disk is gone".to_owned() };
    let (app, watched) = app_with(100).await;
    let execute = || app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).key("request-1");
    watched.notes().at_appends.push_back(Act::Refuse(unknown()));
    let failed = execute().await;
    let Err(ExecuteError::Failed(CommandError::Unknown { key: Some(key), .. })) = &failed else { panic!("{failed:?}") };
    assert_eq!(key.id(), "request-1");
    assert!(failed.unwrap_err().is_retryable());
    watched.notes().at_appends.push_back(Act::RecordAndAnswer(unknown()));
    let receipt = execute().await.unwrap();
    assert_eq!((receipt.reply, receipt.repeated), (70, true));
    assert_eq!(balance(&app).await, 70);
}

#[tokio::test]
async fn an_unknown_outcome_without_a_key_stays_unknown() {
    let (app, watched) = app_with(100).await;
    watched.notes().at_appends.push_back(Act::RecordAndAnswer(AppendError::Unknown { why: "no answer".to_owned() }));
    let failed = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).await.unwrap_err();
    let said = failed.to_string();
    assert_eq!(
        said,
        "it is not known whether the command was recorded: no answer; it had no key, so look at the aggregate before \
         trying again"
    );
    assert!(!failed.is_retryable());
    assert_eq!(balance(&app).await, 70);
}

fn as_repeated(mut receipt: Receipt<u64>) -> Receipt<u64> {
    receipt.repeated = true;
    receipt
}
