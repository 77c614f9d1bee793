//! Interruptions: of the broker, of the service, of both sides.

use std::sync::Arc;

use annalist::{
    App, Store,
    inbox::{Inbox, InboxContext, InboxStopped, MemoryConsumer, Received},
    outbox::MemoryPublisher,
};
use annalist_memory::MemoryStore;
use tokio::sync::Semaphore;

use super::{
    bank::{Account, GIRO, GiroEvent, Post, Send, balance, giro, hasty, savings_inbox, sent},
    inbox, settled,
};

/// An app on a store that outlives it.
async fn app_on(store: &MemoryStore, inbox: Inbox) -> App {
    let views = Arc::new(annalist::projection::MemoryKeyValue::new());
    App::open(Store::new(store.clone(), views)).inbox(inbox).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_goes_and_comes_back_is_connected_again() {
    let consumer = MemoryConsumer::new();
    let app = app_on(&MemoryStore::new(), savings_inbox(&consumer)).await;
    sent(&consumer, "1", "eve", 5);
    settled(&app, 1).await;
    consumer.go_down();
    sent(&consumer, "2", "eve", 5);
    let status = inbox(&app).until(|status| !status.is_connected()).await;
    assert!(status.last_error.is_some(), "{status}");
    consumer.come_up();
    let status = settled(&app, 2).await;
    assert!(status.is_connected(), "{status}");
    assert_eq!(balance(&app, "eve").await, 10);
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_at_work_and_gives_back_the_rest() {
    let (consumer, store) = (MemoryConsumer::new(), MemoryStore::new());
    let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go));
    let slow = Inbox::named("savings-giro").from(consumer.clone()).options(hasty()).on(
        move |received: Received<GiroEvent>, cx: InboxContext| {
            let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
            async move {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                let GiroEvent::Sent { to, cents, .. } = received.event;
                cx.on::<Account>(to).execute(Post { cents }).await?;
                Ok(())
            }
        },
    );
    let app = app_on(&store, slow).await;
    for id in 0..10 {
        sent(&consumer, &id.to_string(), "eve", 1);
    }
    begun.acquire().await.unwrap().forget();
    inbox(&app).until(|status| status.held == 10).await;
    let ending = app.clone();
    let ended = tokio::spawn(async move { ending.inboxes()[0].shutdown().await });
    tokio::task::yield_now().await;
    go.add_permits(1);
    let status = ended.await.unwrap();
    assert_eq!((status.handled, status.held, status.stopped()), (1, 0, Some(&InboxStopped::Shutdown)), "{status}");

    let app = app_on(&store, savings_inbox(&consumer)).await;
    settled(&app, 9).await;
    assert_eq!(balance(&app, "eve").await, 10);
}

#[tokio::test]
async fn money_is_neither_lost_nor_made_between_two_services_that_are_dropped_at_any_time() {
    let (broker, store) = (MemoryPublisher::new(), MemoryStore::new());
    let consumer = MemoryConsumer::of(&broker, GIRO);
    let giro = giro(Store::memory(), &broker).start().await.unwrap();
    let alice = || giro.on::<Account>("alice".to_owned());
    alice().execute(Post { cents: 1_000 }).await.unwrap();
    let mut savings = app_on(&store, savings_inbox(&consumer)).await;
    for number in 0..100 {
        let to = format!("account-{}", number % 7);
        alice().execute(Send { to, cents: number % 13 }).key(number.to_string()).await.unwrap();
        if number % 10 == 9 {
            // Dropped as it is, without a word to anybody.
            savings = app_on(&store, savings_inbox(&consumer)).await;
        }
    }
    giro.relays()[0].drained().await.unwrap();
    savings.shutdown().await.unwrap();

    // Everything once more, to another that knows of nothing but its store.
    let again = MemoryConsumer::of(&broker, GIRO);
    let savings = app_on(&store, savings_inbox(&again)).await;
    assert_eq!(settled(&savings, 100).await.dead, 0);
    let mut total = balance(&giro, "alice").await;
    for account in 0..7 {
        total += balance(&savings, &format!("account-{account}")).await;
    }
    assert_eq!(total, 1_000);
}
