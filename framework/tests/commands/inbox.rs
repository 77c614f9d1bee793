//! Messages from elsewhere are handled once.

use annalist::{App, CommandError, ExecuteError, Receipt, inbox::InboxMessage};

use super::{
    account::{Account, Deposit, InsufficientFunds, Withdraw},
    alice, app_on, app_with, balance,
    purse::{Lighten, Limit},
};

type Deposited = Result<Receipt<u64>, ExecuteError<InsufficientFunds>>;

fn message(consumer: &str) -> InboxMessage {
    InboxMessage::new(consumer, "nats:PAYMENTS", "payment-7")
}

async fn deposit(app: &App, message: InboxMessage) -> Deposited {
    app.on::<Account>(alice()).execute(Deposit { cents: 5 }).message(message).await
}

#[tokio::test]
async fn a_redelivered_message_is_recorded_once_and_told_apart() {
    let (app, watched) = app_with(100).await;
    let first = deposit(&app, message("billing")).await.unwrap();
    assert_eq!((first.reply, first.repeated), (105, false));
    let events = watched.notes().appends[0].entries[0].events.clone();
    assert_eq!(events[0].metadata.causation_id.as_deref(), Some("payment-7"));
    let again = deposit(&app_on(&watched).await, message("billing")).await.unwrap();
    assert_eq!((again.reply, again.repeated, again.cursor), (105, true, first.cursor));
    assert_eq!(balance(&app).await, 105);
}

#[tokio::test]
async fn each_consumer_handles_a_message() {
    let (app, _) = app_with(100).await;
    for (consumer, reply) in [("billing", 105), ("rewards", 110)] {
        let receipt = deposit(&app, message(consumer)).await.unwrap();
        assert_eq!((receipt.reply, receipt.repeated), (reply, false));
    }
}

#[tokio::test]
async fn the_commands_of_one_message_are_told_apart_by_their_ordinals() {
    let (app, _) = app_with(100).await;
    for repeated in [false, true] {
        for (ordinal, reply) in [(0, 105), (1, 110)] {
            let receipt = deposit(&app, message("billing").ordinal(ordinal)).await.unwrap();
            assert_eq!((receipt.reply, receipt.repeated), (reply, repeated));
        }
    }
    assert_eq!(balance(&app).await, 110);
}

#[tokio::test]
async fn a_message_that_would_do_something_else_the_second_time_is_refused() {
    let (app, _) = app_with(100).await;
    deposit(&app, message("billing")).await.unwrap();
    let other_command = app.on::<Account>(alice()).execute(Withdraw { cents: 5 }).message(message("billing")).await;
    let other_account = app.on::<Account>("bob".to_owned()).execute(Deposit { cents: 5 }).message(message("billing"));
    for refused in [other_command, other_account.await] {
        assert!(matches!(refused, Err(ExecuteError::Failed(CommandError::KeyReused { .. }))), "{refused:?}");
    }
}

#[tokio::test]
async fn scopes_have_an_inbox_too() {
    let (app, _) = app_with(0).await;
    let lighten = || Lighten { owner: "ada".to_owned(), purse: 1, cents: 0 };
    for repeated in [false, true] {
        let receipt = app.scope::<Limit>().execute(lighten()).message(message("billing")).await.unwrap();
        assert_eq!((receipt.events, receipt.repeated), (1, repeated));
    }
}

#[tokio::test]
async fn a_message_without_an_id_is_the_callers_mistake() {
    let (app, watched) = app_with(100).await;
    let failed = deposit(&app, InboxMessage::new("billing", "nats:PAYMENTS", "")).await;
    let Err(ExecuteError::Failed(CommandError::Unrecordable(why))) = failed else { panic!("{failed:?}") };
    assert_eq!(why.to_string(), "the message id is empty; give it a name");
    assert!(watched.notes().appends.is_empty());
}
