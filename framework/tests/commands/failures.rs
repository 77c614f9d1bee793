//! The store fails, or holds what cannot be read.

use annalist::{
    Append, AppendError, CommandError, CommandOptions, DecodeError, EventId, EventStore, ExecuteError, Expected,
    LoadError, NewEvent, StoreError, StreamId, Version,
};
use annalist_core::EventType;
use uuid::Uuid;

use super::{
    account::{Account, Withdraw},
    alice, app_with, balance,
    watched::{Act, Watched},
    withdraw,
};

fn unavailable() -> AppendError {
    AppendError::Unavailable { why: "disk full".to_owned() }
}

async fn append_by_hand(watched: &Watched, name: &'static str, version: u16, payload: &'static str) {
    let event_type = EventType::versioned(name, version).unwrap();
    let event = NewEvent::new(EventId::new(Uuid::from_u128(7)), event_type, payload);
    let stream = StreamId::new("account-alice").unwrap();
    watched.memory.append(Append::new().events(stream, Expected::Any, [event])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_unavailable_for_a_moment_is_tried_again() {
    let (app, watched) = app_with(100).await;
    watched.notes().at_appends.extend([unavailable(), unavailable()].map(Act::Refuse));
    assert_eq!(withdraw(&app, 30).await.reply, 70);
    assert_eq!(watched.notes().appends.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn patience_with_a_store_ends() {
    let (app, watched) = app_with(100).await;
    let attempts = CommandOptions::default().attempts_max;
    watched.notes().at_appends.extend((0..attempts).map(|_| Act::Refuse(unavailable())));
    let begun = tokio::time::Instant::now();
    let failed = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).await.unwrap_err();
    assert_eq!(failed.to_string(), "the store could not be used: disk full; try again later");
    assert!(failed.is_retryable());
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert_eq!(balance(&app).await, 100);
}

#[tokio::test]
async fn other_failures_are_told_at_once() {
    let (app, watched) = app_with(100).await;
    let poisoned = AppendError::Poisoned { reason: "fsync".to_owned() };
    watched.notes().at_appends.push_back(Act::Refuse(poisoned.clone()));
    let failed = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).await;
    let Err(ExecuteError::Failed(CommandError::Store(error))) = failed else { panic!("{failed:?}") };
    assert_eq!(error, poisoned);
    watched.notes().at_appends.push_back(Act::Refuse(AppendError::Store(StoreError::Closed)));
    let failed = app.on::<Account>(alice()).execute(Withdraw { cents: 30 }).await;
    assert!(matches!(failed, Err(ExecuteError::Failed(CommandError::Closed))), "{failed:?}");
}

#[tokio::test]
async fn old_events_are_upcast_when_an_aggregate_is_loaded() {
    let (app, watched) = app_with(100).await;
    append_by_hand(&watched, "money-deposited", 1, r#"{"dollars":2}"#).await;
    assert_eq!(withdraw(&app, 50).await.reply, 250);
}

#[tokio::test]
async fn nothing_is_decided_on_events_that_cannot_be_read() {
    let (app, watched) = app_with(100).await;
    append_by_hand(&watched, "account-frozen", 1, "{}").await;
    let failed = app.on::<Account>(alice()).execute(Withdraw { cents: 50 }).await;
    let Err(ExecuteError::Failed(error @ CommandError::Load(_))) = failed else { panic!("{failed:?}") };
    assert!(!error.is_retryable());
    let CommandError::Load(LoadError::Unreadable { stream, version, source }) = error else { panic!("{error:?}") };
    assert_eq!((stream.as_str(), version), ("account-alice", Version::new(2)));
    assert_eq!(source, DecodeError::UnknownType { name: "account-frozen".to_owned() });
    assert!(watched.notes().appends.is_empty());
}

#[tokio::test]
async fn ids_and_keys_that_cannot_be_stored_are_the_callers_mistake() {
    let (app, watched) = app_with(100).await;
    let id = app.on::<Account>("alice\n".to_owned()).execute(Withdraw { cents: 50 }).await;
    let key = app.on::<Account>(alice()).execute(Withdraw { cents: 50 }).key("").await;
    for (failed, said) in [(id, "the stream has a control character"), (key, "the key is empty")] {
        let Err(ExecuteError::Failed(CommandError::Unrecordable(why))) = failed else { panic!("{failed:?}") };
        assert!(why.to_string().starts_with(said), "{why}");
    }
    assert!(watched.notes().appends.is_empty());
}
