//! What cannot be handled is put aside, and comes back when somebody says so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use annalist::{
    App,
    inbox::{
        DeadLetter, DeadLetters, DeathReason, HandleError, Inbox, InboxContext, Malformed, MemoryConsumer, OnNewer,
        Received,
    },
};

use super::{
    app_with,
    bank::{Account, GIRO, GiroEvent, Post, balance, hasty, savings_inbox, sent},
    inbox, settled,
};

async fn letters(consumer: &MemoryConsumer) -> Vec<DeadLetter> {
    consumer.list(0, 100).await.unwrap()
}

/// The dead letter that `send` leads to, after one attempt.
async fn dies_at_once(send: impl FnOnce(&MemoryConsumer)) -> (App, MemoryConsumer, DeadLetter) {
    let consumer = MemoryConsumer::new();
    let app = app_with(savings_inbox(&consumer)).await;
    send(&consumer);
    let status = settled(&app, 1).await;
    assert_eq!((status.dead, status.failures), (1, 0), "{status}");
    let metrics = app.metrics().await;
    assert_eq!(metrics.number("annalist_inbox_messages", &["savings-giro", "dead"]), Some(1.0));
    assert_eq!(metrics.number("annalist_inbox_failing_messages", &["savings-giro"]), Some(0.0));
    let letter = letters(&consumer).await.remove(0);
    assert_eq!((&*letter.inbox, letter.death.attempts), ("savings-giro", 1));
    (app, consumer, letter)
}

#[tokio::test]
async fn what_is_no_message_is_dead_at_once() {
    let malformed = Malformed { detail: "it has no id".to_owned(), data: "x".into() };
    let (_, _, letter) = dies_at_once(|consumer| consumer.send_malformed(malformed.clone())).await;
    assert_eq!((letter.death.reason, letter.message), (DeathReason::Malformed, Err(malformed)));
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_dead_at_once() {
    let send = |consumer: &MemoryConsumer| consumer.send_json("1", GIRO, "giro.money-sent.v2", "eve", "{}");
    let (_, _, letter) = dies_at_once(send).await;
    assert_eq!(letter.death.reason, DeathReason::Unreadable);
    assert!(letter.death.error.contains("giro.money-sent"), "{}", letter.death.error);
}

#[tokio::test]
async fn a_newer_version_is_dead_at_once_and_says_what_to_do() {
    let send = |consumer: &MemoryConsumer| consumer.send_json("1", GIRO, "giro.money-sent.v3", "eve", "{}");
    let (_, _, letter) = dies_at_once(send).await;
    assert_eq!(letter.death.reason, DeathReason::Unreadable);
    assert!(letter.death.error.contains("upgrade the program"), "{}", letter.death.error);
}

#[tokio::test]
async fn a_rejection_that_the_handler_does_not_look_at_is_dead_at_once() {
    let (app, _, letter) = dies_at_once(|consumer| sent(consumer, "1", "eve", -1)).await;
    assert_eq!(letter.death.reason, DeathReason::Refused);
    assert_eq!((&*letter.death.error, balance(&app, "eve").await), ("only 0 cents are there", 0));
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_waits_if_the_inbox_says_so() {
    let consumer = MemoryConsumer::new();
    let mut options = hasty();
    options.on_newer = OnNewer::Wait;
    let app = app_with(savings_inbox(&consumer).options(options)).await;
    consumer.send_json("1", GIRO, "giro.money-sent.v3", "eve", "{}");
    sent(&consumer, "2", "eve", 5);
    let status = inbox(&app).until(|status| status.failures > 20).await;
    assert_eq!((status.dead, status.handled, status.held), (0, 0, 2), "{status}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_too_often_is_put_aside_and_the_next_of_its_key_goes_on() {
    let consumer = MemoryConsumer::new();
    let inbox = Inbox::named("notes").from(consumer.clone()).options(hasty()).on(
        |received: Received<GiroEvent>, cx: InboxContext| async move {
            let GiroEvent::Sent { to, cents, .. } = received.event;
            match cents {
                1 => return Err(HandleError::retry("not today")),
                2 => panic!("not at all"),
                _ => _ = cx.on::<Account>(to).execute(Post { cents }).await?,
            }
            Ok(())
        },
    );
    let app = app_with(inbox).await;
    for cents in 1..=3 {
        sent(&consumer, &cents.to_string(), "eve", cents);
    }
    let status = settled(&app, 3).await;
    assert_eq!((status.dead, status.failures, balance(&app, "eve").await), (2, 4, 3), "{status}");
    let told: Vec<_> = letters(&consumer).await.into_iter().map(|letter| letter.death).collect();
    let told: Vec<_> = told.iter().map(|death| (death.reason, &*death.error, death.attempts)).collect();
    let expected = [("not today", 3), ("the handler panicked: not at all", 3)];
    assert_eq!(told, expected.map(|(error, attempts)| (DeathReason::Exhausted, error, attempts)));
}

#[tokio::test]
async fn a_replayed_letter_is_handled_and_what_it_had_done_is_not_done_again() {
    let (consumer, mended) = (MemoryConsumer::new(), Arc::new(AtomicBool::new(false)));
    let is_mended = Arc::clone(&mended);
    let inbox = Inbox::named("notes").from(consumer.clone()).options(hasty()).on(
        move |received: Received<GiroEvent>, cx: InboxContext| {
            let mended = is_mended.load(Ordering::Relaxed);
            async move {
                let GiroEvent::Sent { to, cents, .. } = received.event;
                cx.on::<Account>(to).execute(Post { cents }).await?;
                if !mended {
                    return Err(HandleError::refuse("half done"));
                }
                cx.on::<Account>("second".to_owned()).execute(Post { cents }).await?;
                Ok(())
            }
        },
    );
    let app = app_with(inbox).await;
    sent(&consumer, "1", "eve", 5);
    settled(&app, 1).await;
    let letter = letters(&consumer).await.remove(0);
    assert_eq!(letter.death.reason, DeathReason::Refused);

    mended.store(true, Ordering::Relaxed);
    assert_eq!(consumer.replay(letter.number).await, Ok(true));
    let status = settled(&app, 2).await;
    assert_eq!((status.handled, letters(&consumer).await.len()), (1, 0), "{status}");
    assert_eq!((balance(&app, "eve").await, balance(&app, "second").await), (5, 5));
}
